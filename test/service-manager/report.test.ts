import { expect, test } from "bun:test";
import {
  due,
  nothingTold,
  type Seen,
  statusAssignment,
  type Told,
} from "../../src/service-manager/report.ts";

const seen: Seen = { isUp: true, status: "v1 is serving", isMoving: true, nowMs: 100_000 };
const told: Told = { isReady: true, status: "v1 is serving", aliveMs: 90_000, startingMs: 90_000 };
const longer = "EXTEND_TIMEOUT_USEC=600000000";

test.each<[string, Partial<Seen>, Partial<Told>, number | null, string[]]>([
  ["all is known", {}, {}, null, []],
  ["another status", { status: "v2 is serving" }, {}, null, ["STATUS=v2 is serving"]],
  ["not up yet", { isUp: false }, { isReady: false }, null, []],
  ["still not up", { isUp: false, nowMs: 150_000 }, { isReady: false }, null, [longer]],
  ["not up, and never said so", { isUp: false }, { isReady: false, startingMs: null }, null, [longer]],
  ["stuck on its way up", { isUp: false, isMoving: false, nowMs: 150_000 }, { isReady: false }, null, []],
  ["down for long", { isUp: false, nowMs: 150_000 }, {}, null, []],
  ["up", {}, { isReady: false }, null, ["READY=1"]],
  ["down again", { isUp: false }, {}, null, []],
  ["no watchdog", {}, { aliveMs: null }, null, []],
  ["heard lately", {}, { aliveMs: 90_001 }, 10_000, []],
  ["heard long ago", {}, {}, 10_000, ["WATCHDOG=1"]],
  ["never heard", {}, { aliveMs: null }, 10_000, ["WATCHDOG=1"]],
  ["stuck", { isMoving: false }, {}, 10_000, []],
  ["stuck, with a new status", { isMoving: false, status: "x" }, {}, 10_000, ["STATUS=x"]],
])("%s", (_, of, known, aliveEveryMs, assignments) => {
  expect(due({ ...seen, ...of }, { ...told, ...known }, aliveEveryMs).assignments).toEqual(assignments);
});

test("what was told is not told again", () => {
  const first = due(seen, nothingTold, 10_000);
  expect(first.assignments).toEqual(["READY=1", "STATUS=v1 is serving", "WATCHDOG=1"]);
  expect(due({ ...seen, nowMs: 109_999 }, first.told, 10_000)).toEqual({ assignments: [], told: first.told });
  expect(due({ ...seen, nowMs: 110_000 }, first.told, 10_000).assignments).toEqual(["WATCHDOG=1"]);
});

test("a status is one line: its text can't bring other assignments", () => {
  expect(statusAssignment("down: boom\nREADY=1\r\n")).toBe("STATUS=down: boom READY=1 ");
});
