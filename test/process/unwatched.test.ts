import { expect, test } from "bun:test";
import { endedUnwatched, keeperOf } from "../../src/process/unwatched.ts";
import { processStat } from "../../src/util/procfs.ts";

const run = { pid: 4711 };

test.each<[string, { pid: number | null }[], string | null, string | null, { pid: number }[]]>([
  ["what was left running and is gone", [run], "@7", "@7", [run]],
  ["none: it runs", [{ pid: 1 }], "@7", "@7", []],
  ["of several the one that is gone", [{ pid: 1 }, run], "@7", "@7", [run]],
  ["none: another keeper may have ended both", [run], "@7", "@8", []],
  ["none: nobody knows who kept it", [run], null, "@7", []],
  ["none: nobody can tell who keeps this agent", [run], "@7", null, []],
  ["none: neither is known", [run], null, null, []],
  ["none: nobody knows whether it was ever there", [{ pid: null }], "@7", "@7", []],
])("which runs ended unwatched: %s", (_, runs, keeper, keeperNow, ended) => {
  expect(endedUnwatched({ keeper, runs }, ({ pid }) => pid === 1, keeperNow)).toEqual(ended);
});

test("a keeper is another one after a restart of the unit or of the container", () => {
  const unit = keeperOf({ INVOCATION_ID: "a" }, 7);
  expect(keeperOf({ INVOCATION_ID: "a" }, 7)).toBe(unit);
  expect([
    keeperOf({ INVOCATION_ID: "b" }, 7),
    keeperOf({}, 7),
    keeperOf({ INVOCATION_ID: "a" }, 8),
    keeperOf({ INVOCATION_ID: "a" }, 7, "#other"),
  ]).not.toContain(unit);
  expect(keeperOf({}, null)).toBeNull();
  expect(keeperOf({})).toMatch(new RegExp(`^@${processStat(1)?.startTicks}#[0-9a-f]{16}$`));
});
