import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readEnvDir } from "../../src/process/env-dir.ts";
import { listenEnvironment } from "../../src/supervisor/environment.ts";
import type { ListenSpec } from "../../src/supervisor/listen-spec.ts";
import type { Supervisor } from "../../src/supervisor/supervisor.ts";
import { descriptorOf } from "../../src/util/procfs.ts";
import type { User } from "../../src/util/user.ts";
import { AppHost, environmentOf, pidOf, shellApps } from "../support/app-host.ts";
import { freePort } from "../support/free-port.ts";
import { tempDir } from "../support/temp-dir.ts";

const c = { signal: new AbortController().signal };
const tcp = (port: number, host: string | null = null): ListenSpec => ({ kind: "tcp", host, port });

describe("what a generation is told of its listeners", () => {
  test.each<[string, ListenSpec[], Record<string, string>]>([
    ["none: a job worker", [], { SERVER_STARTER_GENERATION: "4" }],
    [
      "two ports",
      [tcp(8000), tcp(8001)],
      {
        SERVER_STARTER_GENERATION: "4",
        SERVER_STARTER_PORT: "8000=3;8001=4",
        LISTEN_FDS: "2",
        LISTEN_FDNAMES: "8000:8001",
      },
    ],
    [
      "hosts and a unix socket",
      [tcp(8000, "127.0.0.1"), tcp(8000, "::1"), { kind: "unix", path: "/run/app.sock" }],
      {
        SERVER_STARTER_GENERATION: "4",
        SERVER_STARTER_PORT: "127.0.0.1:8000=3;[::1]:8000=4;/run/app.sock=5",
        LISTEN_FDS: "3",
        LISTEN_FDNAMES: "127.0.0.1-8000:[--1]-8000:/run/app.sock",
      },
    ],
  ])("%s", (_, listen, variables) => {
    expect(listenEnvironment(listen, 4)).toEqual(variables);
  });
});

/** An app that leaves its environment as it came. */
const sleeps = ["sleep", "1000"];

describe("the environment an app really gets", () => {
  test("speaks both protocols; LISTEN_PID is the app's own pid", async () => {
    await using host = new AppHost();
    const other = freePort();
    await using supervisor = await host.open({ command: sleeps, listen: [host.listen, tcp(other)] });
    await supervisor.resume("v1", c);
    const env = await appEnvironment(supervisor);
    expect(Object.fromEntries(env)).toMatchObject({
      SERVER_STARTER_PORT: `${host.port}=3;${other}=4`,
      SERVER_STARTER_GENERATION: "1",
      LISTEN_FDS: "2",
      LISTEN_FDNAMES: `${host.port}:${other}`,
      LISTEN_PID: String(pidOf(supervisor)),
      DEWY_ROOT: host.root,
    });
    const { listeners = [] } = host.record.read() ?? {};
    expect(listeners.map(({ inode }) => descriptorOf(pidOf(supervisor), inode))).toEqual([3, 4]);
  });

  test("keeps names that no shell can spell, whatever the other names are", async () => {
    await using host = new AppHost();
    const odd = { "my.setting": "a b", "BASH_FUNC_x%%": "() { :; }", PLAIN: "x" };
    await using supervisor = await host.open({
      command: sleeps,
      listen: [host.listen],
      env: { PATH: process.env["PATH"], ...odd },
    });
    await supervisor.resume("v1", c);
    const env = Object.fromEntries(await appEnvironment(supervisor));
    expect(env).toMatchObject({ ...odd, SERVER_STARTER_PORT: `${host.port}=3` });
    expect(env).not.toHaveProperty("LISTEN_PID");
  });

  test("holds nothing that a supervisor of dewy itself told dewy", async () => {
    await using host = new AppHost();
    const told = {
      LISTEN_FDS: "3",
      LISTEN_PID: "1",
      LISTEN_FDNAMES: "x",
      SERVER_STARTER_PORT: "80=3",
      SERVER_STARTER_GENERATION: "9",
    };
    const env = { PATH: process.env["PATH"], ...told, KEPT: "1" };
    await using supervisor = await host.open({ command: sleeps, env });
    await supervisor.resume("v1", c);
    const found = Object.fromEntries(await appEnvironment(supervisor));
    expect(found).toMatchObject({ KEPT: "1", SERVER_STARTER_GENERATION: "1" });
    for (const name of ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "SERVER_STARTER_PORT"]) {
      expect(found).not.toHaveProperty(name);
    }
  });

  test("has ENVDIR's variables as they are at each start", async () => {
    await using host = new AppHost();
    using dir = tempDir();
    writeFileSync(join(dir.path, "COLOUR"), "blue\nsecond line");
    writeFileSync(join(dir.path, "GONE"), "");
    await using supervisor = await host.open({
      command: sleeps,
      envDir: dir.path,
      env: { PATH: process.env["PATH"], GONE: "was here", COLOUR: "red" },
    });
    await supervisor.resume("v1", c);
    const first = await appEnvironment(supervisor);
    expect(first.get("COLOUR")).toBe("blue");
    expect(first.has("GONE")).toBe(false);
    writeFileSync(join(dir.path, "COLOUR"), "green");
    await supervisor.restart(c);
    expect((await appEnvironment(supervisor)).get("COLOUR")).toBe("green");
  });

  test("with an ENVDIR that is gone is an error that is not the release's fault", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open({ envDir: join(host.root, "gone") });
    const change = host.change(host.shellRelease("v1", shellApps.stays), null);
    await expect(supervisor.replace(change, c)).rejects.toMatchObject({
      code: "filesystem",
      blame: "environment",
    });
  });
});

describe("reading an ENVDIR", () => {
  test.each<[string, string, string | undefined]>([
    ["a value", "value", "value"],
    ["its first line only", "one\ntwo", "one"],
    ["trailing blanks removed", "value \t\n", "value"],
    ["leading blanks kept", "  value", "  value"],
    ["NULs as newlines", "one\0two", "one\ntwo"],
    ["an empty line: empty", "\n", ""],
    ["an empty file: unset", "", undefined],
  ])("%s", (_, content, value) => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "NAME"), content);
    expect(readEnvDir(dir.path, null)).toEqual({ NAME: value });
  });

  test("hidden files, directories and names with `=` are passed over", () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "DIRECTORY"));
    writeFileSync(join(dir.path, ".hidden"), "x");
    writeFileSync(join(dir.path, "A=B"), "x");
    expect(readEnvDir(dir.path, null)).toEqual({});
  });
});

function appEnvironment(supervisor: Supervisor): Promise<Map<string, string>> {
  return environmentOf(pidOf(supervisor), "sleep");
}

describe("an ENVDIR that root reads for another user", () => {
  const user: User = { uid: 65_534, gid: 65_534, groups: [65_534], name: "nobody", home: "/" };

  function envDir(owner: number) {
    const dir = tempDir();
    chmodSync(dir.path, 0o755);
    mkdirSync(join(dir.path, "env"));
    writeFileSync(join(dir.path, "secret"), "root's", { mode: 0o600 });
    chownSync(join(dir.path, "env"), owner, owner);
    return {
      path: join(dir.path, "env"),
      secret: join(dir.path, "secret"),
      [Symbol.dispose]: () => dir[Symbol.dispose](),
    };
  }

  test.each<[string, (path: string, secret: string) => void]>([
    ["by a link", (path, secret) => symlinkSync(secret, path)],
    ["by a second name", (path, secret) => linkSync(secret, path)],
  ])("gives him nothing of root's that he leads to %s", (_, lead) => {
    using dir = envDir(user.uid);
    lead(join(dir.path, "NAME"), dir.secret);
    expect(() => readEnvDir(dir.path, user)).toThrow("who may not read it");
    // He could read it himself.
    chmodSync(dir.secret, 0o604);
    if (_ === "by a second name") expect(readEnvDir(dir.path, user)).toEqual({ NAME: "root's" });
  });

  test("is read with its links and its secrets where root put them", () => {
    using dir = envDir(0);
    symlinkSync(dir.secret, join(dir.path, "NAME"));
    expect(readEnvDir(dir.path, user)).toEqual({ NAME: "root's" });
  });

  test("may hold files of his, and a secret that root put there", () => {
    using dir = envDir(user.uid);
    writeFileSync(join(dir.path, "HIS"), "his", { mode: 0o600 });
    chownSync(join(dir.path, "HIS"), user.uid, user.gid);
    writeFileSync(join(dir.path, "SECRET"), "root's", { mode: 0o600 });
    expect(readEnvDir(dir.path, user)).toEqual({ HIS: "his", SECRET: "root's" });
  });

  test("is refused where a value is longer than any variable", () => {
    using dir = envDir(0);
    writeFileSync(join(dir.path, "NAME"), "x".repeat(200_000));
    expect(() => readEnvDir(dir.path, user)).toThrow("more than a variable can");
  });
});
