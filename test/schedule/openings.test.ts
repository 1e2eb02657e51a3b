import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isOpen, neverOpens, nextClosed, nextOpen } from "../../src/schedule/openings.ts";
import { parseWindow } from "../../src/schedule/parse.ts";
import { anyWindow, anyZone, oracle, parsed, written } from "./windows.ts";
import { changesOf, zones } from "./zones.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** Zones with summer time, and when their clocks change in some years. */
const changes = zones.flatMap((zone) =>
  [2025, 2026, 2027].flatMap((year) => changesOf(zone, year).map((at) => ({ zone, at }))),
);

const anyMoment = fc.integer({ min: Date.UTC(2025, 0), max: Date.UTC(2028, 0) });

/** A moment, and windows of zones that are interesting then. */
const situation = fc
  .oneof(
    fc
      .tuple(fc.constantFrom(...changes), fc.integer({ min: -day, max: day }))
      .map(([{ zone, at }, away]) => ({ at: at + away, zone: fc.constant(zone) })),
    anyMoment.map((at) => ({ at, zone: anyZone })),
  )
  .chain(({ at, zone }) =>
    fc.record({
      at: fc.constant(at),
      meant: fc.array(anyWindow(at, fc.oneof(zone, anyZone)), { minLength: 1, maxLength: 3 }),
    }),
  );

describe("the moments at which clocks change", () => {
  test("are known of zones in both hemispheres", () => {
    const counts = new Map(zones.map((zone) => [zone, changesOf(zone, 2026).length]));
    expect(counts.get("Asia/Tokyo")).toBe(0);
    for (const zone of ["America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago"]) {
      expect([zone, counts.get(zone as (typeof zones)[number])]).toEqual([zone, 2]);
    }
  });
});

describe("whether it is open", () => {
  test("is what the clock on the wall says, minute by minute through every change of the clocks", () => {
    fc.assert(
      fc.property(situation, ({ at, meant }) => {
        const windows = parsed(meant);
        const start = Math.floor(at / minute) * minute - 6 * hour;
        for (let now = start; now < start + 30 * hour; now += minute) {
          if (isOpen(windows, now) !== oracle(meant, now)) {
            throw new Error(`${meant.map(written).join("; ")} at ${new Date(now).toISOString()}`);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test("changes at whole minutes only", () => {
    fc.assert(
      fc.property(situation, fc.integer({ min: 0, max: minute - 1 }), ({ at, meant }, later) => {
        const windows = parsed(meant);
        const start = Math.floor(at / minute) * minute;
        expect(isOpen(windows, start + later)).toBe(isOpen(windows, start));
      }),
    );
  });
});

describe("the next open moment", () => {
  test("is open, and none before it is", () => {
    fc.assert(
      fc.property(situation, ({ at, meant }) => {
        const windows = parsed(meant);
        const next = nextOpen(windows, at, 3 * day);
        const end = next ?? at + 3 * day;
        expect(end).toBeGreaterThanOrEqual(at);
        if (next !== null) expect(oracle(meant, next)).toBe(true);
        for (let now = at; now < end; now += minute) {
          if (oracle(meant, now)) throw new Error(`open at ${new Date(now).toISOString()}`);
        }
        if (next !== null && next > at) expect(isOpen(windows, next - 1)).toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  test("is followed by no closed one before the next closed moment", () => {
    fc.assert(
      fc.property(situation, ({ at, meant }) => {
        const windows = parsed(meant);
        const closed = nextClosed(windows, at, 3 * day);
        const end = closed ?? at + 3 * day;
        if (closed !== null) expect(oracle(meant, closed)).toBe(false);
        for (let now = at; now < end; now += minute) {
          if (!oracle(meant, now)) throw new Error(`closed at ${new Date(now).toISOString()}`);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("comes no sooner when it is asked for later", () => {
    fc.assert(
      fc.property(situation, fc.integer({ min: 0, max: 2 * day }), ({ at, meant }, later) => {
        const windows = parsed(meant);
        const first = nextOpen(windows, at) ?? Number.POSITIVE_INFINITY;
        const second = nextOpen(windows, at + later) ?? Number.POSITIVE_INFINITY;
        expect(second).toBeGreaterThanOrEqual(first);
      }),
    );
  });

  test.each<[string, string, string, string]>([
    ["a start that spring skips is the jump", "02:30-05:00", "2026-03-29T00:10Z", "2026-03-29T01:00Z"],
    ["a window that spring skips is left out", "02:10-02:50", "2026-03-28T12:00Z", "2026-03-30T00:10Z"],
    ["the first of two autumn starts counts", "02:30-02:45", "2026-10-24T12:00Z", "2026-10-25T00:30Z"],
    ["and the second one after it", "02:30-02:45", "2026-10-25T00:45Z", "2026-10-25T01:30Z"],
  ])("in Berlin: %s", (_, times, from, next) => {
    const windows = [parseWindow(`${times} Europe/Berlin`)];
    expect(iso(nextOpen(windows, Date.parse(from)))).toBe(iso(Date.parse(next)));
  });

  test.each<[string, string, string]>([
    ["Sun 02:15-03:00 Australia/Lord_Howe", "2026-10-03T00:00Z", "2026-10-03T15:30Z"],
    ["Sun 00:00-06:00 America/Santiago", "2026-09-05T12:00Z", "2026-09-06T04:00Z"],
    ["Mon 09:00-17:00 Asia/Kolkata", "2026-11-21T00:00Z", "2026-11-23T03:30Z"],
    ["Fri-Mon 22:00-02:00 UTC", "2026-11-24T03:00Z", "2026-11-27T22:00Z"],
    ["!2026-12-24..2027-01-02 Asia/Tokyo", "2026-12-25T00:00Z", "2027-01-02T15:00Z"],
    ["!Dec 24-Jan 2 UTC", "2029-12-25T00:00Z", "2030-01-03T00:00Z"],
    ["!Dec 31 18:00-06:00 UTC", "2029-12-31T20:00Z", "2030-01-01T06:00Z"],
  ])("of %s after %s is %s", (text, from, next) => {
    expect(iso(nextOpen([parseWindow(text)], Date.parse(from)))).toBe(iso(Date.parse(next)));
  });

  test("without windows is now, and no moment is closed", () => {
    expect(nextOpen([], 12_345)).toBe(12_345);
    expect(nextClosed([], 12_345, 30 * day)).toBeNull();
  });
});

test.each<[string[], number]>([
  [["Mon-Fri 09:00-17:00 Europe/Berlin"], 40],
  [["Mon-Fri 09:00-17:00 Asia/Kathmandu", "!Fri 15:00-24:00 Asia/Kathmandu"], 38],
  [["22:00-02:00 America/New_York"], 28],
  [["Fri-Mon 22:00-02:00 Australia/Lord_Howe"], 16],
  [["Sat,Sun UTC", "Wed 12:00-12:30 UTC"], 48.5],
  [["!Sat,Sun Asia/Tokyo"], 120],
])("%j is open %p hours of a week without a change of the clocks", (texts, hours) => {
  const windows = texts.map((text) => parseWindow(text));
  const end = Date.UTC(2026, 5, 17);
  let open = 0;
  for (let at = end - 7 * day; at < end; ) {
    const from = nextOpen(windows, at, end - at) ?? end;
    const to = nextClosed(windows, from, end - from) ?? end;
    open += to - from;
    at = to;
  }
  expect(open / hour).toBe(hours);
});

describe("windows that never open", () => {
  test.each<[string[], boolean]>([
    [["!*"], true],
    [["Mon 09:00-10:00 Asia/Tokyo", "!Mon 00:00-01:00 UTC"], true],
    [["Mon 09:00-10:00 America/New_York", "!Mon 13:00-14:00 UTC"], false],
    [["02:10-02:50 Europe/Berlin"], false],
    [["!2026-01-01..2034-12-31"], false],
    [["!2026-01-01..2099-12-31"], true],
    [["!2026-01-01..9999-12-31"], true],
    [["!2026-11-22..2400-01-01"], true],
    [["!2026-11-22..2400-01-01", "Mon 03:00-03:01 America/New_York"], true],
    [["!2026-01-01..2035-12-31", "!2036-01-01..2046-12-31"], true],
    [["!2026-12-24..2027-01-02", "!2400-01-01..2500-12-31"], false],
    [["!Jan 1-Dec 31"], true],
    [["!Jan 1-Dec 30", "Mon"], false],
    [["!Mar 1-Feb 28", "Sun"], false],
    [["!2026-01-01..2030-12-31", "!Mon-Sun"], true],
  ])("%j: %p", (texts, never) => {
    const windows = texts.map((text) => parseWindow(text, "UTC"));
    expect(neverOpens(windows, Date.UTC(2026, 10, 21))).toBe(never);
  });
});

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
