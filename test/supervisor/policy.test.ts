import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeExit } from "../../src/process/process.ts";
import { resolveProgram } from "../../src/process/program.ts";
import { withListenPid } from "../../src/supervisor/command.ts";
import { type ListenSpec, listenName } from "../../src/supervisor/listen-spec.ts";
import { nextRestart, noDeaths } from "../../src/supervisor/restart-policy.ts";
import { tempDir } from "../support/temp-dir.ts";

describe("how long a restart waits", () => {
  test("doubles with each death in a row, up to a minute", () => {
    let history = noDeaths;
    const delays = Array.from({ length: 12 }, () => {
      const next = nextRestart(history, 100);
      history = next.history;
      return next.delayMs;
    });
    expect(delays).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000]);
  });

  test.each([
    [59_999, 3, 800],
    [60_000, 1, 200],
    [86_400_000, 1, 200],
  ])("after a run of %d ms the count is %d", (uptimeMs, deaths, delayMs) => {
    expect(nextRestart({ deaths: 2 }, uptimeMs)).toEqual({ history: { deaths }, delayMs });
  });

  test("stays a number after a thousand deaths", () => {
    expect(nextRestart({ deaths: 5000 }, 0).delayMs).toBe(60_000);
  });
});

test.each<[ListenSpec, string]>([
  [{ kind: "tcp", host: null, port: 8000 }, "8000"],
  [{ kind: "tcp", host: "127.0.0.1", port: 8000 }, "127.0.0.1:8000"],
  [{ kind: "tcp", host: "::1", port: 8000 }, "[::1]:8000"],
  [{ kind: "unix", path: "/run/app.sock" }, "/run/app.sock"],
])("%j is named %s", (spec, name) => {
  expect(listenName(spec)).toBe(name);
});

test.each([
  [{ code: 3, signal: null }, "exited with code 3"],
  [{ code: null, signal: "SIGSEGV" }, "was killed by SIGSEGV"],
  [{ code: null, signal: null }, "ended"],
])("%j: %s", (exit, text) => {
  expect(describeExit(exit)).toBe(text);
});

describe("the program a command names", () => {
  test("is a path from the working directory, an absolute path, or found in PATH", () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "bin"));
    const program = join(dir.path, "bin/app");
    writeFileSync(program, "#!/bin/sh\n");
    chmodSync(program, 0o755);
    expect(resolveProgram(["./bin/app"], dir.path, undefined)).toBe(program);
    expect(resolveProgram(["bin/app"], dir.path, undefined)).toBe(program);
    expect(resolveProgram([program], "/", undefined)).toBe(program);
    expect(resolveProgram(["app"], "/", join(dir.path, "bin"))).toBe(program);
  });

  test.each([["app"], [""], ["./app"], ["/nowhere/app"]])("%j that is not there", (name) => {
    using dir = tempDir();
    expect(() => resolveProgram([name], dir.path, "/usr/bin")).toThrow("command not found");
  });
});

describe("the way to LISTEN_PID", () => {
  const listening = { LISTEN_FDS: "1", PATH: "/bin" };

  test("is a shell that becomes the program, whatever its arguments", () => {
    const odd = ["$HOME", "a b", "'", "--", ";"];
    expect(withListenPid("/app", odd, listening)).toEqual([
      "/bin/sh",
      "-c",
      'LISTEN_PID=$$ exec "$0" "$@"',
      "/app",
      ...odd,
    ]);
  });

  test.each([
    ["nothing is listened on", { PATH: "/bin" }],
    ["a name can't be spelled by a shell", { ...listening, "a.b": "1" }],
    ["a name begins with a digit", { ...listening, "1A": "1" }],
  ])("is not gone when %s", (_, env) => {
    expect(withListenPid("/app", ["x"], env)).toEqual(["/app", "x"]);
  });

  test("hands arguments over unharmed", () => {
    const odd = ["$HOME", "a b", "'\"", "--", ";", "", "\n", "*"];
    const { stdout } = Bun.spawnSync([
      ...withListenPid("/usr/bin/printf", ["%s|", ...odd], { LISTEN_FDS: "1" }),
    ]);
    expect(stdout.toString()).toBe(odd.map((text) => `${text}|`).join(""));
  });
});
