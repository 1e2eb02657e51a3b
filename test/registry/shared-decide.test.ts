import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decideAlone, spreadOf } from "../../src/registry/shared/alone.ts";
import { type Decision, decide, type Rules, type View } from "../../src/registry/shared/decide.ts";
import type { SharedEntry } from "../../src/registry/shared/entry.ts";
import { claimAgeMs, likelyAgeMs, restAgeMs, Watch } from "../../src/registry/shared/sighting.ts";

const at = new Date("2026-11-21T09:36:46.000Z");
const answer = { latest: { release: null, otherSlot: null }, fetchedAt: at, by: "web1" };
const claim = { id: "1", by: "web1", at, lengthMs: 40_000 };
const failure = {
  at,
  by: "web1",
  failures: 1,
  code: "network-unreachable",
  message: "no route",
  hint: null,
  retryAfterMs: null,
} as const;
const rules = { windowMs: 30_000, staleMaxMs: 600_000, owner: "web1", mayAsk: true };
const none: SharedEntry = { answer: null, claim: null, failure: null };
const fresh: SharedEntry = { ...none, answer };
const claimed: SharedEntry = { ...fresh, claim };
const failing: SharedEntry = { ...fresh, failure };

const view = (changes: Partial<View>): View => ({
  claimAgeMs: 0,
  restedMs: 0,
  answerAgeMs: 100_000,
  ...changes,
});
const serving: Decision = { kind: "serve" };
const claiming: Decision = { kind: "claim" };
const waiting: Decision = { kind: "wait" };
const fail: Decision = { kind: "fail" };

describe("what a host does about the fleet's entry", () => {
  test.each<[string, SharedEntry | null, Partial<View>, Decision]>([
    ["there is none: asks", null, { answerAgeMs: null }, claiming],
    ["there is nothing in it: asks", none, { answerAgeMs: null }, claiming],
    ["fresh: serves", fresh, { restedMs: 29_999 }, serving],
    ["a window old: asks", fresh, { restedMs: 30_000 }, claiming],
    ["somebody asks: serves the old one", claimed, { claimAgeMs: 39_999 }, serving],
    ["who asked is dead: asks", claimed, { claimAgeMs: 40_000 }, claiming],
    [
      "who asked is dead, but the window is not over: serves the old one",
      { ...claimed, claim: { ...claim, lengthMs: 5000 } },
      { claimAgeMs: 29_999 },
      serving,
    ],
    ["somebody asks for the first time: waits", { ...none, claim }, { answerAgeMs: null }, waiting],
    [
      "who asked for the first time is dead: asks, whatever the window",
      { ...none, claim: { ...claim, lengthMs: 5000 } },
      { answerAgeMs: null, claimAgeMs: 5000 },
      claiming,
    ],
    ["somebody asks, and the old one is too old: waits", claimed, { answerAgeMs: 600_001 }, waiting],
    ["somebody asks again after a failure: serves the old one", { ...failing, claim }, {}, serving],
    [
      "somebody asks again after a failure, and the old one is too old: fails",
      { ...failing, claim },
      { answerAgeMs: 600_001 },
      fail,
    ],
    ["failing: serves the old one", failing, { restedMs: 29_999 }, serving],
    ["failing for a window: asks", failing, { restedMs: 30_000 }, claiming],
    ["failing, and the old one is as old as may be: serves it", failing, { answerAgeMs: 600_000 }, serving],
    ["failing, and the old one is too old: fails", failing, { answerAgeMs: 600_001 }, fail],
    ["failing from the first time on: fails", { ...none, failure }, { answerAgeMs: null }, fail],
    [
      "failing from the first time on, for a window: asks",
      { ...none, failure },
      { answerAgeMs: null, restedMs: 30_000 },
      claiming,
    ],
    [
      "limited by the registry: serves the old one beyond the window",
      { ...failing, failure: { ...failure, retryAfterMs: 90_000 } },
      { restedMs: 89_999 },
      serving,
    ],
    [
      "failing for the sixth time: serves the old one for a minute",
      { ...failing, failure: { ...failure, failures: 6 } },
      { restedMs: 63_999 },
      serving,
    ],
    [
      "after that minute: asks",
      { ...failing, failure: { ...failure, failures: 6 } },
      { restedMs: 64_000 },
      claiming,
    ],
    [
      "failing for ever: asks every five minutes",
      { ...failing, failure: { ...failure, failures: 1e6 } },
      { restedMs: 300_000 },
      claiming,
    ],
    [
      "limited by the registry until now: asks",
      { ...failing, failure: { ...failure, retryAfterMs: 90_000 } },
      { restedMs: 90_000 },
      claiming,
    ],
  ])("%s", (_, entry, changes, decision) => {
    expect(decide(entry, view(changes), rules)).toEqual(decision);
  });

  const refused = { ...failure, code: "unauthorized", by: "web2" } as const;

  test.each<[string, SharedEntry, Partial<View>, Partial<Rules>, Decision]>([
    [
      "another host was refused, nothing to serve: asks",
      { ...none, failure: refused },
      { answerAgeMs: null },
      {},
      claiming,
    ],
    [
      "another host was limited, nothing to serve: asks",
      { ...none, failure: { ...refused, code: "rate-limited" } },
      { answerAgeMs: null },
      {},
      claiming,
    ],
    [
      "it was refused itself, nothing to serve: fails",
      { ...none, failure: refused },
      { answerAgeMs: null },
      { owner: "web2" },
      fail,
    ],
    [
      "another host was refused for the ninth time: asks a window later",
      { ...failing, failure: { ...refused, failures: 9 } },
      { restedMs: 30_000 },
      {},
      claiming,
    ],
    [
      "another host was refused just now: serves the old one",
      { ...failing, failure: refused },
      { restedMs: 29_999 },
      {},
      serving,
    ],
    ["it may not ask: serves the old one", fresh, { restedMs: 99_000 }, { mayAsk: false }, serving],
    ["it may not ask, nothing to serve: fails", none, { answerAgeMs: null }, { mayAsk: false }, fail],
  ])("%s", (_, entry, changes, others, decision) => {
    expect(decide(entry, view(changes), { ...rules, ...others })).toEqual(decision);
  });

  const ms = fc.integer({ min: 0, max: 2_000_000 });
  const entries = fc.record({
    answer: fc.constantFrom(null, answer),
    claim: fc.option(ms.map((lengthMs) => ({ ...claim, lengthMs: lengthMs + 1 }))),
    failure: fc.option(
      fc
        .record({ retryAfterMs: fc.option(ms), failures: fc.integer({ min: 1, max: 1e6 }) })
        .map((changes) => ({ ...failure, ...changes })),
    ),
  });
  const situations = fc.record({
    entry: entries,
    claimAgeMs: ms,
    restedMs: ms,
    ageMs: ms,
    windowMs: fc.integer({ min: 1, max: 1_000_000 }),
    staleMaxMs: ms,
  });
  const decided = ({ entry, claimAgeMs, restedMs, ageMs, windowMs, staleMaxMs }: Situation) =>
    decide(
      entry,
      { claimAgeMs, restedMs, answerAgeMs: entry.answer === null ? null : ageMs },
      { ...rules, windowMs, staleMaxMs },
    ).kind;
  type Situation = typeof situations extends fc.Arbitrary<infer T> ? T : never;

  test("it never asks while somebody else may be asking, nor within a window of the last try", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const { entry, claimAgeMs, restedMs, windowMs } = situation;
        if (decided(situation) !== "claim" || isEmpty(entry)) return;
        if (entry.claim !== null) expect(claimAgeMs).toBeGreaterThanOrEqual(entry.claim.lengthMs);
        else {
          expect(restedMs).toBeGreaterThanOrEqual(windowMs);
          expect(restedMs).toBeGreaterThanOrEqual(entry.failure?.retryAfterMs ?? 0);
        }
      }),
    );
  });

  test("it serves only what is there, and after a failure only what is not too old", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        const { entry, ageMs, staleMaxMs } = situation;
        if (decided(situation) !== "serve") return;
        expect(entry.answer).not.toBeNull();
        if (entry.failure !== null || entry.claim !== null) expect(ageMs).toBeLessThanOrEqual(staleMaxMs);
      }),
    );
  });

  test("it asks in the end, whatever happened", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        expect(decided({ ...situation, claimAgeMs: 4_000_000, restedMs: 4_000_000 })).toBe("claim");
      }),
    );
  });

  test("it fails only when there is a failure to tell", () => {
    fc.assert(
      fc.property(situations, (situation) => {
        if (decided(situation) === "fail") expect(situation.entry.failure).not.toBeNull();
      }),
    );
  });

  function isEmpty(entry: SharedEntry): boolean {
    return entry.answer === null && entry.claim === null && entry.failure === null;
  }
});

describe("the age of what others wrote", () => {
  const windowMs = 30_000;
  /** Looks at 0 without it and at 10 s with it, by this clock's word `clockAgeMs` old. */
  const arrived = (clockAgeMs: number) => {
    const watch = new Watch();
    watch.note({ id: "old", clockAgeMs: 0 }, { startMs: 0, endMs: 0 });
    return watch.note({ id: "new", clockAgeMs }, { startMs: 10_000, endMs: 10_000 });
  };

  test.each([
    ["a clock that is right", 4000, 4000],
    ["a clock far ahead", 600_000, 10_000],
    ["a clock behind", -60_000, 0],
    ["a clock too far behind to tell anything", -600_000, 10_000],
  ])("by %s is within what was seen", (_, clockAgeMs, ageMs) => {
    const seen = arrived(clockAgeMs);
    if (seen === null) throw new Error("not seen");
    expect(likelyAgeMs(seen, 10_000)).toBe(ageMs);
    expect(likelyAgeMs(seen, 17_000)).toBe(ageMs + 7000);
  });

  test.each([4000, 600_000, -600_000])(
    "counts for the next call from when it was seen: clock %d",
    (clockAgeMs) => {
      const seen = arrived(clockAgeMs);
      if (seen === null) throw new Error("not seen");
      expect(restAgeMs(seen, 17_000, windowMs)).toBe(7000);
    },
  );

  test("at the first look is the clock's word, but never negative", () => {
    for (const [clockAgeMs, ageMs] of [
      [25_000, 25_000],
      [-25_000, 0],
    ] as const) {
      const seen = new Watch().note({ id: "1", clockAgeMs }, { startMs: 5000, endMs: 5000 });
      if (seen === null) throw new Error("not seen");
      expect(restAgeMs(seen, 5000, windowMs)).toBe(ageMs);
      expect(restAgeMs(seen, 7000, windowMs)).toBe(ageMs + 2000);
    }
  });

  test("is the clock's word, within reason, to who looks but now and then", () => {
    const watch = new Watch();
    watch.note({ id: "old", clockAgeMs: 0 }, { startMs: 0, endMs: 0 });
    const seen = watch.note({ id: "new", clockAgeMs: 50_000 }, { startMs: 3_600_000, endMs: 3_600_000 });
    if (seen === null) throw new Error("not seen");
    expect(restAgeMs(seen, 3_600_000, windowMs)).toBe(50_000);
  });

  test.each<[string, number, number]>([
    ["five minutes in the future: new", -300_000, 0],
    ["further in the future: unknown", -300_001, Number.POSITIVE_INFINITY],
    ["ten years in the future: unknown", -315_360_000_000, Number.POSITIVE_INFINITY],
  ])("at the first look is, for a time %s", (_, clockAgeMs, ageMs) => {
    const seen = new Watch().note({ id: "1", clockAgeMs }, { startMs: 5000, endMs: 5000 });
    if (seen === null) throw new Error("not seen");
    for (const age of [restAgeMs(seen, 5000, windowMs), likelyAgeMs(seen, 5000), claimAgeMs(seen, 5000)])
      expect(age).toBe(ageMs);
  });

  test.each([4000, 600_000, -600_000])(
    "of a claim that was seen to come is what was seen: clock %d",
    (clockAgeMs) => {
      const seen = arrived(clockAgeMs);
      if (seen === null) throw new Error("not seen");
      expect(claimAgeMs(seen, 17_000)).toBe(7000);
    },
  );

  test("of a claim that was there before is the clock's word", () => {
    const seen = new Watch().note({ id: "1", clockAgeMs: 45_000 }, { startMs: 0, endMs: 0 });
    if (seen === null) throw new Error("not seen");
    expect(claimAgeMs(seen, 17_000)).toBe(62_000);
  });

  test("goes on from the first sight while it stays the same, and starts anew with another", () => {
    const watch = new Watch();
    watch.note({ id: "1", clockAgeMs: 0 }, { startMs: 0, endMs: 100 });
    expect(watch.note({ id: "1", clockAgeMs: 99 }, { startMs: 1000, endMs: 1100 })).toMatchObject({
      firstSeenMs: 100,
      gapMs: null,
    });
    expect(watch.note(null, { startMs: 2000, endMs: 2100 })).toBeNull();
    expect(watch.note({ id: "1", clockAgeMs: 0 }, { startMs: 3000, endMs: 3200 })).toMatchObject({
      firstSeenMs: 3200,
      gapMs: 1200,
    });
  });
});

describe("a host without the shared cache", () => {
  const aloneRules = { windowMs: 30_000, staleMaxMs: 600_000, spread: 0.5 };
  const base = { nowMs: 1_000_000, downSinceMs: 900_000, asked: null, answerAgeMs: 12_000 };

  test.each<[string, Partial<Parameters<typeof decideAlone>[0]>, "ask" | "serve" | "fail"]>([
    ["serves what is fresh", {}, "serve"],
    ["serves what became stale until its turn in the spread", { answerAgeMs: 44_999 }, "serve"],
    ["asks in its turn", { answerAgeMs: 45_000 }, "ask"],
    [
      "counts its turn from the outage when that came later",
      { answerAgeMs: 500_000, downSinceMs: 990_000 },
      "serve",
    ],
    ["asks then", { answerAgeMs: 500_000, downSinceMs: 985_000 }, "ask"],
    ["asks at once without an answer", { answerAgeMs: null }, "ask"],
    ["asks at once with one that is too old", { answerAgeMs: 600_001 }, "ask"],
    ["asks once a window", { asked: { atMs: 995_000, restMs: 30_000 }, answerAgeMs: 5000 }, "serve"],
    [
      "asks a window after its own last try, without a spread",
      { downSinceMs: 900_000, asked: { atMs: 970_000, restMs: 30_000 }, answerAgeMs: 30_000 },
      "ask",
    ],
    ["gives the registry the time it wants", { asked: { atMs: 960_000, restMs: 60_000 } }, "serve"],
    [
      "fails meanwhile without an answer",
      { asked: { atMs: 995_000, restMs: 30_000 }, answerAgeMs: null },
      "fail",
    ],
  ])("%s", (_, changes, verdict) => {
    expect(decideAlone({ ...base, ...changes }, aloneRules)).toBe(verdict);
  });

  test("has a place of its own in the spread, the same at every start", () => {
    expect(spreadOf("web1", "scope")).toBe(spreadOf("web1", "scope"));
    const places = Array.from({ length: 1000 }, (_, host) => spreadOf(`web${host}`, "scope"));
    expect(new Set(places).size).toBe(1000);
    expect(places.filter((place) => place < 0.25).length).toBeWithin(200, 300);
  });
});
