import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { pauseMs, pauseUntilNextCheck, phaseOf } from "../../src/agent/pace.ts";

const phases = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const times = fc.integer({ min: 0, max: 4_000_000_000_000 });
const intervals = fc.integer({ min: 1000, max: 86_400_000 });

describe("an agent's phase", () => {
  test("is the same at every start, and spread evenly over many hosts", () => {
    expect(phaseOf("web1", "/opt/app")).toBe(phaseOf("web1", "/opt/app"));
    expect(phaseOf("web1", "/opt/app")).not.toBe(phaseOf("web1", "/opt/other"));
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let host = 0; host < 1000; host++) {
      const tenth = Math.floor(phaseOf(`web${host}`, "/opt/app") * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    for (const hosts of tenths) expect(hosts).toBeWithin(60, 140);
  });
});

describe("the pause before a check", () => {
  const checkedAt = new Date("2026-11-21T12:00:00Z");
  const after = (ms: number) => new Date(checkedAt.getTime() + ms);

  test.each<[string, number[], number, number]>([
    ["is the agent's own where nothing falls due", [], 0, 60_000],
    ["is the agent's own where that is sooner", [90_000], 0, 60_000],
    ["ends when the first of what waits is due", [50_000, 40_000], 0, 39_000],
    ["is none where it fell due during the check", [500], 0, 0],
    ["is not for what was due before the check, which saw it", [0, -1], 0, 60_000],
    ["is never less than the registry asks for", [10_000], 30_000, 30_000],
    ["is the registry's where that is more than the agent's", [10_000], 90_000, 90_000],
  ])("%s", (_, dues, leastMs, ms) => {
    // The check took a second.
    expect(pauseMs(60_000, dues.map(after), { checkedAt, now: after(1000), leastMs })).toBe(ms);
  });
});

describe("the pause until the next check", () => {
  test("is between half an interval and one and a half", () => {
    fc.assert(
      fc.property(times, intervals, phases, (now, interval, phase) => {
        const pause = pauseUntilNextCheck(now, interval, phase);
        expect(pause).toBeGreaterThanOrEqual(interval / 2 - 1);
        expect(pause).toBeLessThanOrEqual(interval * 1.5 + 1);
      }),
    );
  });

  test("brings every later check to the phase, an interval apart, however long each takes", () => {
    fc.assert(
      fc.property(
        times,
        intervals,
        phases,
        fc.double({ min: 0, max: 0.4, noNaN: true }),
        (start, interval, phase, busy) => {
          let now = start + pauseUntilNextCheck(start, interval, phase);
          for (let check = 0; check < 5; check++) {
            const began = now;
            now += busy * interval;
            now += pauseUntilNextCheck(now, interval, phase);
            expect(now - began).toBeCloseTo(interval, 0);
          }
          const position = (now / interval - phase) % 1;
          expect(Math.min(position, 1 - position)).toBeLessThan(0.01);
        },
      ),
    );
  });
});
