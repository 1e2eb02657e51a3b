import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runHook } from "../../src/agent/deploy/hooks.ts";
import { systemClock } from "../../src/util/time.ts";
import type { User } from "../../src/util/user.ts";
import { FakeClock } from "../support/clock.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const forEver = { signal: new AbortController().signal };

async function run(
  command: string,
  changes: { root?: string; env?: Record<string, string>; user?: User } = {},
) {
  using dir = tempDir();
  const options = {
    command,
    root: dir.path,
    env: { PATH: process.env["PATH"] },
    timeoutMs: 60_000,
    user: null,
    ...changes,
  };
  return await runHook(options, systemClock, forEver);
}

describe("a hook", () => {
  test("its output, trimmed, and its exit code", async () => {
    const result = await run("echo ' out '; echo err >&2; exit 3");
    expect(result).toMatchObject({ stdout: "out", stderr: "err", exitCode: 3, timedOut: false });
    expect(result.command).toStartWith("echo");
    expect(result.durationMs).toBeGreaterThan(0);
  });

  test("runs in the working directory with the environment it is given, and no input", async () => {
    using dir = tempDir();
    const { stdout } = await run("pwd; echo $DEWY_TAG; cat", { root: dir.path, env: { DEWY_TAG: "v1" } });
    expect(stdout).toBe(`${dir.path}\nv1`);
  });

  test("with a user runs as him, in his groups and with his home, and may open its output by name", async () => {
    const user: User = { uid: 54_321, gid: 4242, groups: [4242, 4243], name: "app", home: "/home/app" };
    const { stdout, stderr } = await run("id -u; id -G; echo $USER $HOME; echo told > /dev/stderr", {
      env: { PATH: process.env["PATH"] ?? "", HOME: "/root", USER: "root" },
      user,
    });
    expect(stdout.split("\n")).toEqual(["54321", "4242 4243", "app /home/app"]);
    expect(stderr).toBe("told");
  });

  test("that ends by a signal has no exit code", async () => {
    expect(await run("kill -9 $$")).toMatchObject({ exitCode: null, timedOut: false });
  });

  test("of much output: the end of each stream is kept", async () => {
    const { stdout, stderr, exitCode } = await run(
      "seq 1 200000; echo the end; (seq 1 200000; echo its end) >&2",
    );
    expect(exitCode).toBe(0);
    for (const [text, end] of [
      [stdout, "the end"],
      [stderr, "its end"],
    ] as const) {
      expect(text).toEndWith(`200000\n${end}`);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(64 * 1024);
      expect(Buffer.byteLength(text)).toBeGreaterThan(63 * 1024);
    }
  });

  test("of much output: a line that lost its beginning goes as a whole, a secret in it would not be known", async () => {
    const { stdout } = await run("printf 'TOKEN=%s\\n' s3cret; yes 123456789 | head -c 65530");
    expect(stdout).toStartWith("123456789\n");
  });

  test("is killed at its deadline with everything it started", async () => {
    using dir = tempDir();
    const clock = new FakeClock();
    const command = "echo before; (sleep 1000 & echo $! > child; wait) & echo $$ > leader; wait";
    const running = runHook(
      { command, root: dir.path, env: { PATH: process.env["PATH"] }, user: null, timeoutMs: 5000 },
      clock,
      forEver,
    );
    const pids = await until("both run", () => pidsIn(dir.path, ["leader", "child"]));
    await clock.advance(5000);
    // The time that is left to what holds the output.
    await clock.whenSleeping(1).then(() => clock.advance(1000));
    expect(await running).toMatchObject({ exitCode: null, timedOut: true, stdout: "before" });
    await until("all are gone", () => pids.every((pid) => !isRunning(pid)));
  });

  test("is killed when the agent is told to stop", async () => {
    using dir = tempDir();
    const stop = new AbortController();
    const running = runHook(
      {
        command: "echo $$ > leader; sleep 1000",
        root: dir.path,
        env: { PATH: process.env["PATH"] },
        user: null,
        timeoutMs: 600_000,
      },
      systemClock,
      stop,
    );
    const pids = await until("it runs", () => pidsIn(dir.path, ["leader"]));
    stop.abort(new Error("stop"));
    expect(await running).toMatchObject({ exitCode: null, timedOut: false });
    await until("it is gone", () => pids.every((pid) => !isRunning(pid)));
  });

  test("may leave a daemon behind, which is neither waited for nor killed", async () => {
    using dir = tempDir();
    const result = await run("sleep 1000 & echo $! > daemon; echo done", { root: dir.path });
    expect(result).toMatchObject({ exitCode: 0, stdout: "done" });
    const [pid = 0] = pidsIn(dir.path, ["daemon"]) ?? [];
    expect(isRunning(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
  });

  test("that can't be started is a failed hook, not an exception", async () => {
    const result = await run("true", { root: "/nowhere/at/all" });
    expect(result).toMatchObject({ exitCode: 126, timedOut: false });
    expect(result.stderr).toContain("ENOENT");
  });

  test("whose command is not found fails as the shell says", async () => {
    expect(await run("no-such-command-here")).toMatchObject({
      exitCode: 127,
      stderr: expect.stringContaining("not found"),
    });
  });
});

function pidsIn(directory: string, names: readonly string[]): number[] | undefined {
  const paths = names.map((name) => join(directory, name));
  const texts = paths.map((path) => (existsSync(path) ? readFileSync(path, "utf8") : ""));
  return texts.every((text) => text.endsWith("\n")) ? texts.map(Number) : undefined;
}

function isRunning(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}
