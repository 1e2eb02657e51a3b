import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkCommand } from "../../src/health/command.ts";
import { environment, processIds } from "../../src/util/procfs.ts";
import { systemClock } from "../../src/util/time.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

/** The processes that a check in this directory started. */
function started(root: string): number[] {
  return processIds().filter((pid) => environment(pid).get("CHECK_OF") === root);
}

describe("a health command", () => {
  test.each<[string, boolean, string]>([
    ["exit 0", true, "the health command passed"],
    ["exit 7", false, "the health command exited with code 7"],
    ["kill -9 $$", false, "the health command ended by SIGKILL"],
    ["no-such-command-anywhere 2> /dev/null", false, "the health command exited with code 127"],
  ])("%s", async (command, ok, seen) => {
    using dir = tempDir();
    const check = { command, root: dir.path, env: { PATH: process.env["PATH"] }, user: null };
    expect(await checkCommand(check, 20_000, systemClock, c)).toEqual({ ok, seen });
  });

  test("runs in the root with the given environment only", async () => {
    using dir = tempDir();
    const env = { PATH: process.env["PATH"], CHECK_OF: dir.path };
    const command = 'echo "$(pwd -P) $CHECK_OF" > seen; test -z "$HOME"';
    expect(
      await checkCommand({ command, root: dir.path, env, user: null }, 20_000, systemClock, c),
    ).toMatchObject({
      ok: true,
    });
    expect(readFileSync(join(dir.path, "seen"), "utf8")).toBe(`${dir.path} ${dir.path}\n`);
  });

  test.each([
    ["at its deadline", "sleep 1000 & sleep 1000", 300],
    ["with what it left in the background", "sleep 1000 & exit 0", 20_000],
  ])("is killed with its group %s", async (_, command, limitMs) => {
    using dir = tempDir();
    const env = { PATH: process.env["PATH"], CHECK_OF: dir.path };
    const result = await checkCommand({ command, root: dir.path, env, user: null }, limitMs, systemClock, c);
    expect(result.ok).toBe(limitMs > 1000);
    await until("nothing is left", () => started(dir.path).length === 0);
  });

  test("is killed when the call is given up", async () => {
    using dir = tempDir();
    const env = { PATH: process.env["PATH"], CHECK_OF: dir.path };
    const stop = new AbortController();
    const check = { command: "sleep 1000; :", root: dir.path, env, user: null };
    const checking = checkCommand(check, 600_000, systemClock, stop);
    await until("it runs", () => started(dir.path).length > 0);
    stop.abort(new Error("told to stop"));
    await expect(checking).rejects.toThrow("told to stop");
    await until("nothing is left", () => started(dir.path).length === 0);
  });
});
