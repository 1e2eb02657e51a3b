import { expect, test } from "bun:test";
import { DewyError, type ErrorCode } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import type { Subject } from "../../src/supervisor/checker.ts";
import type { OwnProbe } from "../../src/supervisor/probe-own.ts";
import { type Sickness, SoakWatch } from "../../src/supervisor/soak-watch.ts";
import { FakeClock } from "../support/clock.ts";

const health = { path: "/up", command: null, timeoutMs: 1000, intervalMs: 100, passes: 1, threshold: 3 };
const subject: Subject = {
  pid: 1,
  startedMs: 0,
  endpoint: { host: "127.0.0.1", port: 8000 },
  others: () => [],
  environment: () => ({}),
};

/** What is told of a release of which it was not known at the switch whether it is well. */
async function followAfterSwitch(gateFailures: readonly ErrorCode[], probe: OwnProbe) {
  const clock = new FakeClock();
  const ended = new AbortController();
  const sicknesses: Sickness[] = [];
  const failures = gateFailures.map((code) => new DewyError(code, code));
  const gate = {
    pass: async () => {
      await clock.sleep(health.timeoutMs, ended.signal);
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return "well" as const;
    },
  };
  const checker = { check: async () => probe, urlOf: () => undefined };
  const onSick = (sickness: Sickness) => sicknesses.push(sickness);
  const deps = { checker, gate, goneMs: 0, clock, log: silentLog, soaking: () => true, onSick };
  const following = new SoakWatch(health, deps).follow(subject, "v2", "untold", ended);
  await clock.advance(60_000);
  ended.abort();
  await following.catch(() => undefined);
  return sicknesses.map(({ kind }) => kind);
}

const well: OwnProbe = { kind: "asked", probed: { ok: true, seen: "GET /up: 200" } };
const bad: OwnProbe = { kind: "asked", probed: { ok: false, seen: "GET /up: 503" } };
const unasked: OwnProbe = { kind: "asked", probed: { ok: false, seen: "no ports left", unasked: true } };

test.each<[string, readonly ErrorCode[], OwnProbe, Sickness["kind"][]]>([
  ["that is well", [], well, []],
  ["that is not", ["health-failed"], well, ["unproven"]],
  ["that this host could not ask at first", ["health-unknown", "health-unknown"], well, []],
  ["that is not, once it can be asked", ["health-unknown", "health-failed"], well, ["unproven"]],
  ["that falls ill", [], bad, ["sick"]],
  ["that this host can't ask any more", [], unasked, []],
])("what is told of a release %s, after a switch without proof", async (_, gateFailures, probe, told) => {
  expect(await followAfterSwitch(gateFailures, probe)).toEqual(told);
});
