import { describe, expect, test } from "bun:test";
import { Announcer, describeFailure } from "../../src/agent/announce.ts";
import type { DeployEvent, HookResult } from "../../src/events.ts";
import type { Notifier } from "../../src/notify/notifier.ts";
import { recordingLog, recordingNotifier } from "../support/recording.ts";

const c = { signal: new AbortController().signal };
const deployed = {
  kind: "deployed",
  tag: "v1.0.0",
  fromTag: null,
  durationMs: 1,
  how: "started",
  hasPort: true,
} as const;
const result: HookResult = {
  command: "make",
  stdout: "out",
  stderr: "err",
  exitCode: 0,
  durationMs: 1500,
  timedOut: false,
};

describe("the record that goes with a notification", () => {
  test.each<[DeployEvent, string[]]>([
    [{ kind: "agent-started", version: "v1", command: "server" }, ["Dewy start notification"]],
    [{ kind: "agent-stopping", reason: "quit" }, ["Shutdown notification"]],
    [{ kind: "downloaded", tag: "v1" }, ["Download notification"]],
    [deployed, ["Start notification"]],
    [{ ...deployed, how: "restarted" }, ["Restart notification"]],
    [{ ...deployed, how: "placed" }, []],
    [{ kind: "restarted", signal: "SIGUSR1" }, ["Restart notification"]],
    [{ kind: "deploying", tag: "v1", command: "server" }, []],
    [{ kind: "failed", tag: null, message: "no", hint: null, servingTag: null }, []],
  ])("%j", async (event, records) => {
    const log = recordingLog();
    const notifier = recordingNotifier();
    await new Announcer(notifier, log).tell(event, c);
    expect(log.at("info")).toEqual(records);
    expect(notifier.events).toEqual([event]);
  });
});

describe("a notifier", () => {
  const failing = (notify: Notifier["notify"]): Notifier => ({ notify, async [Symbol.asyncDispose]() {} });

  test.each<[string, Notifier["notify"]]>([
    ["fails", () => Promise.reject(new Error("no channel"))],
    [
      "throws at once",
      () => {
        throw new Error("no channel");
      },
    ],
  ])("that %s is a warning and nothing more", async (_, notify) => {
    const log = recordingLog();
    await new Announcer(failing(notify), log).tell(deployed, c);
    expect(log.records.filter(({ level }) => level === "warn")).toMatchObject([
      { message: "Notification failed", attributes: { error: "no channel" } },
    ]);
  });

  test("that never answers and ignores its signal is left behind when the call ends", async () => {
    const log = recordingLog();
    const stop = new AbortController();
    const telling = new Announcer(
      failing(() => new Promise(() => {})),
      log,
    ).tell(deployed, stop);
    stop.abort(new Error("stop"));
    await telling;
    // It is the agent that goes, not the notifier that failed.
    expect(log.at("warn")).toEqual([]);
  });
});

describe("a hook", () => {
  test("that succeeded: its record, and people are told", async () => {
    const log = recordingLog();
    const notifier = recordingNotifier();
    await new Announcer(notifier, log).hook("before", result, c);
    expect(log.records).toEqual([
      {
        level: "info",
        message: "Execute hook",
        attributes: {
          command: "make",
          stdout: "out",
          stderr: "err",
          exit_code: 0,
          duration: expect.objectContaining({ ms: 1500 }),
        },
      },
    ]);
    expect(notifier.events).toEqual([{ kind: "hook", hook: "before", result }]);
  });

  test.each([
    ["before", "Before deploy hook failure"],
    ["after", "After deploy hook failure"],
  ] as const)("%s the deploy that failed: its record, and the failure's", async (hook, message) => {
    const log = recordingLog();
    await new Announcer(recordingNotifier(), log).hook(hook, { ...result, exitCode: 2 }, c);
    expect(log.records).toMatchObject([
      { level: "error", message: "Execute hook failed", attributes: { exit_code: 2, stderr: "err" } },
      {
        level: "error",
        message,
        attributes: { error: "command failed with exit code 2", exit_code: 2 },
      },
    ]);
  });

  test.each([
    [{ exitCode: 7 }, "command failed with exit code 7"],
    [{ exitCode: null }, "the hook was killed"],
    [{ exitCode: null, timedOut: true }, "the hook was killed at its deadline"],
  ])("%j: %s", (changes, text) => {
    expect(describeFailure({ ...result, ...changes })).toBe(text);
  });
});
