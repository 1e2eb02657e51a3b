import { describe, expect, test } from "bun:test";
import { Announcer, describeFailure } from "../../src/agent/announce.ts";
import type { DeployEvent, HookResult } from "../../src/events.ts";
import { TroubleFile } from "../../src/notify/limiter-file.ts";
import type { DeployRecord } from "../../src/release/release.ts";
import { maskOf } from "../../src/util/mask.ts";
import { FakeClock } from "../support/clock.ts";
import { recordingLog, recordingOutbox } from "../support/recording.ts";

const deployed = {
  kind: "deployed",
  tag: "v1.0.0",
  fromTag: null,
  durationMs: 1,
  how: "started",
  hasPort: true,
} as const;
const failed = { kind: "failed", tag: null, message: "no", hint: null, servingTag: null } as const;
const deployFailed = { ...failed, tag: "v1.1.0" } as const;
const crashed = { kind: "crashed", tag: "v1.0.0", reason: "exit 1", delayMs: 400 } as const;
const result: HookResult = {
  command: "make",
  stdout: "out",
  stderr: "err",
  exitCode: 0,
  durationMs: 1500,
  timedOut: false,
};
const record: DeployRecord = {
  id: "d1",
  host: "web1",
  command: "server",
  tag: "v1.0.0",
  digest: null,
  fromTag: "v0.9.0",
  startedAt: "2026-11-21T09:36:46.000Z",
  finishedAt: "2026-11-21T09:36:48.000Z",
  durationMs: 2000,
  result: "deployed",
};

function announcing(secrets: readonly string[] = []) {
  const log = recordingLog();
  const outbox = recordingOutbox();
  const clock = new FakeClock();
  const troubles = TroubleFile.open(null, log);
  const announcer = new Announcer({ outbox, troubles, clock, log, mask: maskOf(secrets) });
  return { announcer, log, outbox, clock, kinds: () => outbox.events.map(({ kind }) => kind) };
}

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
    [{ kind: "quarantined", tag: "v1", digest: null, reason: "no" }, []],
  ])("%j", (event, records) => {
    const { announcer, log, outbox } = announcing();
    announcer.tell(event, { thread: "1.2" });
    expect(log.at("info")).toEqual(records);
    expect(outbox.told).toEqual([{ event, origin: { thread: "1.2", deploy: null } }]);
  });
});

describe("errors", () => {
  test("are told three times in a row, and the third says that it is the last", () => {
    const { announcer, log, outbox, kinds } = announcing();
    for (let errors = 0; errors < 10; errors++) announcer.tell(deployFailed);
    expect(outbox.events).toEqual([
      { ...deployFailed, run: { count: 1, lastUntil: null } },
      { ...deployFailed, run: { count: 2, lastUntil: null } },
      { ...deployFailed, run: { count: 3, lastUntil: "over" } },
    ]);
    expect(log.at("debug")).toHaveLength(7);
    // Nothing but errors is held back.
    announcer.tell(deployed);
    expect(kinds().at(-1)).toBe("deployed");
  });

  test("of one kind hold back none of another", () => {
    const { announcer, kinds } = announcing();
    for (const event of [failed, deployFailed, crashed]) {
      for (let errors = 0; errors < 4; errors++) announcer.tell(event);
    }
    expect(kinds()).toEqual([...Array(4).fill("failed"), ...Array(3).fill("crashed")]);
  });

  test("that are over are told once, with what was held back", async () => {
    const { announcer, clock, outbox, kinds } = announcing();
    for (let errors = 0; errors < 5; errors++) {
      announcer.tell(failed);
      await clock.advance(10_000);
    }
    announcer.well("deploy");
    announcer.well("check");
    announcer.well("check");
    expect(kinds()).toEqual(["failed", "recovered"]);
    expect(outbox.events.at(-1)).toEqual({
      kind: "recovered",
      trouble: "check",
      errors: 5,
      heldBack: 4,
      outages: 1,
      durationMs: 50_000,
    });
  });

  test("of a release that is given up are over without a recovery", () => {
    const { announcer, kinds } = announcing();
    announcer.tell(deployFailed);
    announcer.quarantined({ kind: "quarantined", tag: "v1.1.0", digest: null, reason: "no" }, {});
    announcer.well("deploy");
    expect(kinds()).toEqual(["failed", "quarantined"]);
  });

  test("that are told once by their nature stand in no row", () => {
    const { announcer, outbox } = announcing();
    announcer.tell(deployFailed, { once: true });
    announcer.well("deploy");
    expect(outbox.events).toEqual([deployFailed]);
  });
});

describe("a deploy whose agent died", () => {
  test.each<[Partial<DeployRecord>, string]>([
    [{}, "restarted"],
    [{ fromTag: null }, "started"],
    [{ command: "assets" }, "placed"],
    [{ command: "container" }, "rolled"],
  ])("%j before it could tell is told by the next one, once", (changes, how) => {
    const { announcer, outbox } = announcing();
    announcer.catchUp({ ...record, ...changes }, true);
    announcer.catchUp({ ...record, ...changes }, true);
    expect(outbox.told).toMatchObject([
      { event: { kind: "deployed", tag: "v1.0.0", how, durationMs: 2000 }, origin: { deploy: "d1" } },
    ]);
  });

  test("after it had told, or that failed, is not told", () => {
    const { announcer, outbox } = announcing();
    announcer.tell(deployed, { deploy: "d1" });
    announcer.catchUp(record, true);
    announcer.catchUp({ ...record, id: "d2", result: "failed" }, true);
    expect(outbox.told).toHaveLength(1);
  });
});

describe("a hook", () => {
  test("that succeeded: its record, and people are told", () => {
    const { announcer, log, outbox } = announcing();
    announcer.hook("before", result, { thread: null });
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
    expect(outbox.events).toEqual([{ kind: "hook", hook: "before", result }]);
  });

  test.each([
    ["before", "Before deploy hook failure"],
    ["after", "After deploy hook failure"],
  ] as const)("%s the deploy that failed: its record, and the failure's", (hook, message) => {
    const { announcer, log } = announcing();
    announcer.hook(hook, { ...result, exitCode: 2 }, {});
    expect(log.records).toMatchObject([
      { level: "error", message: "Execute hook failed", attributes: { exit_code: 2, stderr: "err" } },
      {
        level: "error",
        message,
        attributes: { error: "command failed with exit code 2", exit_code: 2 },
      },
    ]);
  });

  test.each([0, 1])(
    "that prints dewy's secrets (exit code %d) tells neither the log nor people of them",
    (exitCode) => {
      const { announcer, log, outbox } = announcing(["xoxb-secret"]);
      const told = {
        command: "curl -u xoxb-secret",
        stdout: "SLACK_TOKEN=xoxb-secret",
        stderr: "(xoxb-secret)",
      };
      announcer.hook("after", { ...result, ...told, exitCode }, {});
      const shown = { command: "curl -u …", stdout: "SLACK_TOKEN=…", stderr: "(…)" };
      expect(outbox.events).toMatchObject([{ kind: "hook", result: shown }]);
      expect(log.records[0]?.attributes).toMatchObject(shown);
      expect(JSON.stringify(log.records)).not.toContain("xoxb-secret");
    },
  );

  test("that fails each time is told each time", () => {
    const { announcer, outbox } = announcing();
    for (let runs = 0; runs < 5; runs++) announcer.hook("before", { ...result, exitCode: 2 }, {});
    expect(outbox.told).toHaveLength(5);
  });

  test.each([
    [{ exitCode: 7 }, "command failed with exit code 7"],
    [{ exitCode: null }, "the hook was killed"],
    [{ exitCode: null, timedOut: true }, "the hook was killed at its deadline"],
  ])("%j: %s", (changes, text) => {
    expect(describeFailure({ ...result, ...changes })).toBe(text);
  });
});

test("that a release should be left and can't be is told whatever is held back, and its end with the other errors'", () => {
  const { announcer, outbox, kinds } = announcing();
  for (let deaths = 0; deaths < 4; deaths++) announcer.tell(crashed);
  announcer.stranded({
    kind: "stranded",
    tag: "v1.0.0",
    reason: "it died",
    why: "nothing before",
    hint: "publish",
  });
  announcer.well("app");
  expect(kinds()).toEqual(["crashed", "crashed", "crashed", "stranded", "recovered"]);
  expect(outbox.events.at(-1)).toMatchObject({ trouble: "app", errors: 5, heldBack: 1 });
});
