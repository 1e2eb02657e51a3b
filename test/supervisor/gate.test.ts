import { describe, expect, test } from "bun:test";
import { silentLog } from "../../src/log.ts";
import type { Subject } from "../../src/supervisor/checker.ts";
import { Gate } from "../../src/supervisor/gate.ts";
import type { OwnProbe } from "../../src/supervisor/probe-own.ts";
import { FakeClock } from "../support/clock.ts";

const c = { signal: new AbortController().signal };
const health = { path: "/up", command: null, timeoutMs: 1000, intervalMs: 100, passes: 2, threshold: 3 };
const subject: Subject = {
  pid: 1,
  startedMs: 0,
  endpoint: { host: "127.0.0.1", port: 8000 },
  others: () => [2],
  environment: () => ({}),
};

const well: OwnProbe = { kind: "asked", probed: { ok: true, seen: "GET /up: 200" } };
const bad: OwnProbe = { kind: "asked", probed: { ok: false, seen: "GET /up: 503" } };
const unasked: OwnProbe = { kind: "asked", probed: { ok: false, seen: "no ports left", unasked: true } };
const other: OwnProbe = { kind: "other" };
const untaken: OwnProbe = { kind: "untaken" };

/** What a generation comes to whose checks come to `course`, the last of them again and again. */
async function pass(course: readonly OwnProbe[], command: string | null = null) {
  const clock = new FakeClock();
  let checks = 0;
  const next = () => course[Math.min(checks++, course.length - 1)] ?? well;
  const checker = {
    check: async () => next(),
    command: async () => {
      const result = next();
      return result.kind === "asked" ? result.probed : null;
    },
    urlOf: () => undefined,
  };
  const gate = new Gate({ ...health, command }, { checker, clock, log: silentLog });
  const ended = gate.pass(subject, { sinceMs: 0, proof: true }, c).catch((error: unknown) => error);
  await clock.advance(2 * health.timeoutMs);
  return { ended: await ended, checks };
}

describe("a generation that this host could not ask", () => {
  test.each<[string, readonly OwnProbe[]]>([
    ["at all", [unasked]],
    ["again after it had answered well", [well, unasked]],
    ["again after it had answered badly", [bad, unasked]],
    ["when another one did not take the connection", [unasked, other]],
    ["when nobody took it", [untaken, unasked, untaken]],
  ])("%s is not blamed", async (_, course) => {
    const { ended } = await pass(course);
    expect(ended).toMatchObject({
      code: "health-unknown",
      blame: "environment",
      message: "whether the new version is healthy could not be found out: no ports left",
    });
  });

  test("is not asked in a hurry", async () => {
    const { checks } = await pass([unasked]);
    expect(checks).toBeLessThanOrEqual(1 + health.timeoutMs / health.intervalMs);
  });

  test("by its command is not blamed", async () => {
    const untold: OwnProbe = { kind: "untold" };
    const { ended } = await pass([untold, untold, untold, unasked], "true");
    expect(ended).toMatchObject({ code: "health-unknown" });
  });

  test("for a moment gets through, and what it had answered before counts", async () => {
    expect(await pass([well, unasked, unasked, well])).toEqual({ ended: "well", checks: 4 });
  });
});

test.each<[string, readonly OwnProbe[], RegExp]>([
  ["answers badly once it can be asked", [unasked, bad], /did not get healthy within 1s: GET \/up: 503/],
  ["is never the one that is asked", [other], /never took a connection within 1s; only the old one/],
])("a generation that %s is blamed", async (_, course, message) => {
  const { ended } = await pass(course);
  expect(ended).toMatchObject({ code: "health-failed", message: expect.stringMatching(message) });
});
