import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp-dir.ts";

/** What a user of that number is told. */
function told(uid: number, root: string): string {
  const script = `
    const { requireAccess } = await import("${join(process.cwd(), "src/control/access.ts")}");
    try { requireAccess(${JSON.stringify(root)}); console.log("may"); }
    catch (error) { console.log(error.code, error.message + "; " + error.hint); }`;
  const through = ["setpriv", `--reuid=${uid}`, "--regid=65534", "--clear-groups"];
  const child = Bun.spawnSync([...through, process.execPath, "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return child.stdout.toString().trim().replaceAll(root, "ROOT");
}

/** A directory in which an agent of that user has run. */
function directoryOf(uid: number): { readonly path: string } & Disposable {
  const dir = tempDir();
  const own = join(dir.path, ".dewy");
  mkdirSync(own);
  writeFileSync(join(own, "lock"), "", { mode: 0o600 });
  for (const path of [own, join(own, "lock")]) chownSync(path, uid, uid);
  chmodSync(dir.path, 0o755);
  return dir;
}

describe("an agent", () => {
  test.each([
    [65534, 65534, "may"],
    [65534, 0, "may"],
    [0, 65534, "filesystem the agent of ROOT is root's; this user (nobody) may not ask it; run it with sudo"],
    [
      65534,
      54321,
      "filesystem the agent of ROOT is nobody's; this user (#54321) may not ask it; " +
        "run it with sudo, or as that user: sudo -u 'nobody' dewy …",
    ],
  ])("of user %i, for user %i", (owner, asker, answer) => {
    using dir = directoryOf(owner);
    expect(told(asker, dir.path)).toBe(answer);
  });

  test("in a directory that is closed is not guessed at", () => {
    using dir = directoryOf(0);
    chmodSync(dir.path, 0o700);
    expect(told(65534, dir.path)).toBe(
      "filesystem this user (nobody) may not look into ROOT; run it as the user the agent runs as, or with sudo",
    );
  });

  test("that there is none of is for others to tell", () => {
    using dir = tempDir();
    chmodSync(dir.path, 0o755);
    expect(told(65534, dir.path)).toBe("may");
  });

  test.each([
    ["a file", "/etc/passwd"],
    ["a name too long for one", `/${"x".repeat(5000)}`],
  ])("can't be in %s", (_what, root) => {
    expect(told(0, root)).toBe(
      "config-invalid ROOT is not a directory; name the agent's working directory with --root",
    );
  });
});
