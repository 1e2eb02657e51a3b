import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtFile, builtRoot } from "../support/roots.ts";
import { tempDir } from "../support/temp-dir.ts";

/** qemu stands in for the processor; what the C library is, is the root's. */
async function emulate(root: string, name: string, args: readonly string[]) {
  const child = Bun.spawn(["qemu-aarch64-static", "-L", root, builtFile(name), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

describe.each([
  ["dewy-linux-arm64", "arm64"],
  ["dewy-linux-arm64-musl", "alpine-arm64"],
] as const)("%s", (name, root) => {
  test("says its version", async () => {
    const { code, stdout, stderr } = await emulate(builtRoot(root), name, ["--version"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^dewy version: v\S+ \[/);
  }, 120_000);

  test("places a release that is for its processor", async () => {
    using directory = tempDir();
    const [registry, app] = [join(directory.path, "registry"), join(directory.path, "app")];
    mkdirSync(join(registry, "v1.0.0"), { recursive: true });
    mkdirSync(app);
    for (const machine of ["amd64", "arm64"]) {
      writeFileSync(join(directory.path, "MACHINE"), `${machine}\n`);
      const archive = join(registry, "v1.0.0", `app_linux_${machine}.tar.gz`);
      expect(Bun.spawnSync(["tar", "czf", archive, "-C", directory.path, "MACHINE"]).exitCode).toBe(0);
    }
    const args = [
      "assets",
      "--once",
      "--root",
      app,
      "--registry",
      `file://${registry}`,
      "--log-level",
      "info",
    ];
    const { code, stderr } = await emulate(builtRoot(root), name, args);
    expect(stderr).not.toContain("level=ERROR");
    expect(code).toBe(0);
    expect(readFileSync(join(app, "current/MACHINE"), "utf8")).toBe("arm64\n");
    expect(readlinkSync(join(app, "current"))).toContain("releases/");
  }, 240_000);
});
