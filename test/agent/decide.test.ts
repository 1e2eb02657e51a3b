import { describe, expect, test } from "bun:test";
import { decide, gracePeriodMs, retryDelayMs, type SkipReason } from "../../src/agent/decide.ts";
import { emptyState as empty, type State } from "../../src/agent/state.ts";
import { fingerprint } from "../../src/release/fingerprint.ts";
import type { DeployableRelease, Digest, Release } from "../../src/release/release.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { tagOrder } from "../../src/release/version.ts";
import type { Timing } from "../../src/schedule/evaluate.ts";

const now = new Date("2026-11-21T12:00:00Z");
const minutes = (count: number) => new Date(now.getTime() + count * 60_000);

const artifact = { name: "app.zip", url: "memory:///v2/app.zip", sizeBytes: 1, digest: null, revision: "1" };
const release: DeployableRelease = { tag: "v2.0.0", createdAt: minutes(-60), artifact, files: [artifact] };
const waiting: Release = { ...release, artifact: null, files: [] };
const print = fingerprint(release, "");

const order = tagOrder(semverScheme(null));
const when = (): Timing => ({ kind: "now" });
const placed = (tag: string) => ({
  tag,
  digest: null,
  artifact: "app.zip",
  release: "20261121T110000Z",
  since: minutes(-60).toISOString(),
});
const quarantined = {
  tag: "v2.0.0",
  digest: null,
  fingerprint: print,
  reason: "died",
  at: now.toISOString(),
};
const failed = {
  tag: "v2.0.0",
  fingerprint: print,
  count: 1,
  lastError: "no answer",
  at: minutes(-1).toISOString(),
  nextTryAt: minutes(1).toISOString(),
};

const deploy = { kind: "deploy", release, fingerprint: print } as const;
const skip = (reason: SkipReason) => ({ kind: "skip", reason }) as const;

describe("what to do about the newest release", () => {
  test.each<[string, Release | null, Partial<State>, boolean, ReturnType<typeof decide>]>([
    ["there is none", null, {}, true, skip("no-release")],
    ["it is the first", release, {}, false, deploy],
    ["it is newer", release, { current: placed("v1.0.0") }, true, deploy],
    ["it is older: the newest was deleted", release, { current: placed("v3.0.0") }, true, deploy],
    ["it runs", release, { current: placed("v2.0.0") }, true, skip("current")],
    ["it runs, and has lost its artifact", waiting, { current: placed("v2.0.0") }, true, skip("current")],
    ["it is recorded, but gone from the disk", release, { current: placed("v2.0.0") }, false, deploy],
    ["no artifact, just published", { ...waiting, createdAt: minutes(-29) }, {}, true, skip("grace")],
    ["no artifact, published in the future", { ...waiting, createdAt: minutes(5) }, {}, true, skip("grace")],
    ["no artifact, published nobody knows when", { ...waiting, createdAt: null }, {}, true, skip("grace")],
    [
      "no artifact after the grace period",
      { ...waiting, createdAt: minutes(-30) },
      {},
      true,
      { kind: "no-artifact", tag: "v2.0.0" },
    ],
    ["it is quarantined", release, { quarantine: [quarantined] }, true, skip("quarantined")],
    [
      "it is quarantined, and published again since",
      release,
      { quarantine: [{ ...quarantined, fingerprint: "other" }] },
      true,
      deploy,
    ],
    [
      "another tag is quarantined",
      release,
      { quarantine: [{ ...quarantined, tag: "v1.0.0" }] },
      true,
      deploy,
    ],
    ["it failed and its time has not come", release, { failure: failed }, true, skip("backoff")],
    [
      "it failed and its time has come",
      release,
      { failure: { ...failed, nextTryAt: now.toISOString() } },
      true,
      deploy,
    ],
    [
      "it failed, and was published again",
      release,
      { failure: { ...failed, fingerprint: "other" } },
      true,
      deploy,
    ],
    ["another one failed", release, { failure: { ...failed, tag: "v1.9.0" } }, true, deploy],
    [
      "it failed at a time the clock has not reached: it was set back",
      release,
      { failure: { ...failed, at: minutes(600).toISOString(), nextTryAt: minutes(601).toISOString() } },
      true,
      deploy,
    ],
    [
      "it runs, though it is quarantined",
      release,
      { current: placed("v2.0.0"), quarantine: [quarantined] },
      true,
      skip("current"),
    ],
  ])("%s", (_, newest, state, intact, decision) => {
    expect(decide(newest, { state: { ...empty, ...state }, intact, setup: "", now, order, when })).toEqual(
      decision,
    );
  });

  const hold = { since: now.toISOString(), until: null, reason: null, left: null };
  const later = minutes(5).toISOString();
  const soak = { release: "20260101T000000Z", since: minutes(-1).toISOString(), until: later };
  const soaked = { ...placed("v1.0.0"), release: soak.release };
  const closed: Timing = {
    kind: "wait",
    reason: "window",
    text: "closed",
    until: minutes(1),
    due: minutes(2),
  };
  const onProbation = {
    kind: "wait",
    reason: "soak",
    text: "v1.0.0 is on probation (--soak)",
    until: minutes(5),
    due: null,
  } as const;

  test.each<[string, Partial<State>, Timing, ReturnType<typeof decide>]>([
    ["an operator holds", { hold }, when(), skip("held")],
    ["the hold is over", { hold: { ...hold, until: now.toISOString() } }, when(), deploy],
    ["the hold lasts", { hold: { ...hold, until: later } }, when(), skip("held")],
    ["it was left", { hold: { ...hold, left: "v2.0.0" } }, when(), skip("held")],
    ["a newer one was left", { hold: { ...hold, left: "v2.0.1" } }, when(), skip("held")],
    ["an older one was left", { hold: { ...hold, left: "v1.9.0" } }, when(), deploy],
    ["it is held and runs", { hold, current: placed("v2.0.0") }, when(), skip("current")],
    ["it is held and quarantined", { hold, quarantine: [quarantined] }, when(), skip("held")],
    ["the one before soaks", { current: soaked, soak }, when(), onProbation],
    ["the one before soaks and the window is closed", { current: soaked, soak }, closed, onProbation],
    [
      "it failed while the one before soaks",
      { current: soaked, soak, quarantine: [quarantined] },
      when(),
      skip("quarantined"),
    ],
    ["the soak is over", { current: soaked, soak: { ...soak, until: now.toISOString() } }, when(), deploy],
    ["the soak was another one's", { current: placed("v1.0.0"), soak }, when(), deploy],
    ["the window is closed", {}, closed, closed],
    ["it failed and the window is closed", { failure: failed }, closed, skip("backoff")],
  ])("where %s", (_, changes, timing, decision) => {
    const state = { ...empty, ...changes };
    const situation = { state, intact: true, setup: "", now, order, when: () => timing };
    expect(decide(release, situation)).toEqual(decision);
  });

  test("what is recorded and gone from the disk is put back, whatever else is to wait", () => {
    const state = { ...empty, current: { ...placed("v2.0.0"), release: soak.release }, hold, soak };
    const situation = { state, intact: false, setup: "", now, order, when: () => closed };
    expect(decide(release, situation)).toEqual(deploy);
  });

  test("what was quarantined without its fingerprint is known by its digest, as far as that goes", () => {
    const digest = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
    const offered = (own: Digest | null) => ({ ...release, artifact: { ...artifact, digest: own } });
    const state = { ...empty, quarantine: [{ ...quarantined, fingerprint: "", digest: digest("a") }] };
    const situation = { state, intact: true, setup: "", now, order, when };
    expect(decide(offered(digest("a")), situation)).toEqual(skip("quarantined"));
    expect(decide(offered(null), situation)).toEqual(skip("quarantined"));
    expect(decide(offered(digest("b")), situation)).toMatchObject({ kind: "deploy" });
    expect(decide({ ...offered(digest("a")), tag: "v2.0.1" }, situation)).toMatchObject({ kind: "deploy" });
  });

  test("what failed under another setup of this host is deployed", () => {
    const state = { ...empty, current: placed("v1.0.0"), quarantine: [quarantined] };
    const situation = { state, intact: true, now, order, when };
    expect(decide(release, { ...situation, setup: "" })).toEqual(skip("quarantined"));
    expect(decide(release, { ...situation, setup: "other" })).toMatchObject({ kind: "deploy" });
  });

  test("a tag that moves is another release once its digest is another", () => {
    const digest = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
    const latest = (letter: string, moving: boolean): Release => {
      const file = { ...artifact, digest: digest(letter) };
      return { tag: "latest", moving, createdAt: null, artifact: file, files: [file] };
    };
    const state = { ...empty, current: { ...placed("latest"), digest: digest("a") } };
    const situation = { state, intact: true, setup: "", now, order, when };
    expect(decide(latest("a", true), situation)).toEqual(skip("current"));
    expect(decide(latest("b", true), situation)).toMatchObject({ kind: "deploy" });
    expect(decide(latest("b", false), situation)).toEqual(skip("current"));
  });

  test("the grace period is 30 minutes", () => {
    expect(gracePeriodMs).toBe(30 * 60_000);
  });
});

test.each([
  [1, 10_000],
  [2, 20_000],
  [3, 40_000],
  [5, 160_000],
  [6, 300_000],
  [5000, 300_000],
])("after %d failures in a row it waits %d ms", (failures, delayMs) => {
  expect(retryDelayMs(failures)).toBe(delayMs);
});
