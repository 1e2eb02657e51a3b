import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { always, evaluate, type Rules } from "../../src/schedule/evaluate.ts";
import { isOpen, nextClosed, nextOpen } from "../../src/schedule/openings.ts";
import { parseWindow } from "../../src/schedule/parse.ts";
import { anyWindow, parsed } from "./windows.ts";

const hour = 3_600_000;
const day = 24 * hour;
const tag = "v1.2.3";

function rules(windows: readonly string[], minAgeMs = 0, jitterMs = 0): Rules {
  return { windows: windows.map((text) => parseWindow(text, "UTC")), minAgeMs, jitterMs };
}

interface Case {
  readonly rules: Rules;
  readonly readyFrom: string;
  readonly now: string;
  readonly spread?: number;
  readonly isFirst?: boolean;
}

function at({ rules, readyFrom, now, spread = 0, isFirst = false }: Case) {
  return evaluate(rules, { tag, readyFrom: new Date(readyFrom), isFirst, spread }, new Date(now));
}

/** 2026-11-20 is a Friday. */
const office = "Mon-Fri 09:00-17:00";

describe("a release is deployed", () => {
  test.each<[string, Case]>([
    ["at once without rules", { rules: always, readyFrom: "2026-11-20T10:00Z", now: "2026-11-20T10:00Z" }],
    [
      "in an open window",
      { rules: rules([office]), readyFrom: "2026-11-20T08:00Z", now: "2026-11-20T09:00Z" },
    ],
    [
      "when it is old enough",
      { rules: rules([], hour), readyFrom: "2026-11-20T10:00Z", now: "2026-11-20T11:00Z" },
    ],
    [
      "without a minimum age by a host whose clock is behind",
      { rules: rules([]), readyFrom: "2026-11-20T10:05Z", now: "2026-11-20T10:00Z" },
    ],
    [
      "as the first one in a closed window, in nobody's turn",
      {
        rules: rules([office], 0, hour),
        readyFrom: "2026-11-21T10:00Z",
        now: "2026-11-21T10:00Z",
        spread: 0.9,
        isFirst: true,
      },
    ],
    [
      "at once by a host that was off at its moment",
      {
        rules: rules([office], 0, hour),
        readyFrom: "2026-11-20T10:00Z",
        now: "2026-11-23T09:00Z",
        spread: 0.9,
      },
    ],
    [
      "at once when it has been ready for years",
      {
        rules: rules([office], 0, hour),
        readyFrom: "2019-11-20T10:00Z",
        now: "2026-11-23T09:00Z",
        spread: 0.9,
      },
    ],
    [
      "in a window that is shorter than the jitter",
      {
        rules: rules(["09:00-09:10"], 0, hour),
        readyFrom: "2026-11-20T08:00Z",
        now: "2026-11-20T09:09Z",
        spread: 0.9,
      },
    ],
  ])("%s", (_, situation) => {
    expect(at(situation)).toEqual({ kind: "now" });
  });
});

describe("a release waits", () => {
  test.each<[string, Case, [reason: string, text: string, until: string | null, due: string | null]]>([
    [
      "until it is old enough, and then for its window and turn",
      {
        rules: rules([office], hour, hour),
        readyFrom: "2026-11-20T16:30Z",
        now: "2026-11-20T16:30Z",
        spread: 0.5,
      },
      ["min-age", "v1.2.3 is not 1h old yet (--min-age)", "2026-11-20T17:30Z", "2026-11-23T09:30Z"],
    ],
    [
      "until it is old enough, the first one too",
      {
        rules: rules([office], 90 * 60_000),
        readyFrom: "2026-11-20T16:30Z",
        now: "2026-11-20T16:30Z",
        isFirst: true,
      },
      ["min-age", "v1.2.3 is not 1h30m old yet (--min-age)", "2026-11-20T18:00Z", "2026-11-20T18:00Z"],
    ],
    [
      "for the window",
      {
        rules: rules([office], 0, hour),
        readyFrom: "2026-11-20T17:00Z",
        now: "2026-11-20T17:00Z",
        spread: 0.25,
      },
      [
        "window",
        `v1.2.3 waits for a window: ${office} UTC (--window)`,
        "2026-11-23T09:00Z",
        "2026-11-23T09:15Z",
      ],
    ],
    [
      "for any of several windows",
      {
        rules: rules([office, "Sat 19:00-20:00 Asia/Tokyo"]),
        readyFrom: "2026-11-20T17:00Z",
        now: "2026-11-20T17:00Z",
      },
      [
        "window",
        `v1.2.3 waits for a window: ${office} UTC or Sat 19:00-20:00 Asia/Tokyo (--window)`,
        "2026-11-21T10:00Z",
        "2026-11-21T10:00Z",
      ],
    ],
    [
      "for the end of a time of never",
      {
        rules: rules([office, "! Fri 15:00-24:00"]),
        readyFrom: "2026-11-20T08:00Z",
        now: "2026-11-20T15:00Z",
      },
      [
        "window",
        "v1.2.3 waits for a window: none is deployed in Fri 15:00-24:00 UTC (--window)",
        "2026-11-23T09:00Z",
        "2026-11-23T09:00Z",
      ],
    ],
    [
      "for longer than anybody looks ahead",
      { rules: rules(["!2026-01-01..2099-12-31"]), readyFrom: "2026-11-20T08:00Z", now: "2026-11-20T15:00Z" },
      [
        "window",
        "v1.2.3 waits for a window: none is deployed in 2026-01-01..2099-12-31 UTC (--window)",
        null,
        null,
      ],
    ],
    [
      "for its turn",
      {
        rules: rules([], 0, 5 * 60_000),
        readyFrom: "2026-11-20T10:00Z",
        now: "2026-11-20T10:01Z",
        spread: 0.5,
      },
      [
        "jitter",
        "v1.2.3 waits for this host's turn within 5m (--jitter)",
        "2026-11-20T10:02:30Z",
        "2026-11-20T10:02:30Z",
      ],
    ],
    [
      "for its turn in what is left of the window",
      {
        rules: rules([office], 0, 5 * 60_000),
        readyFrom: "2026-11-20T16:58Z",
        now: "2026-11-20T16:58Z",
        spread: 0.5,
      },
      [
        "jitter",
        "v1.2.3 waits for this host's turn within 5m (--jitter)",
        "2026-11-20T16:59Z",
        "2026-11-20T16:59Z",
      ],
    ],
  ])("%s", (_, situation, [reason, text, until, due]) => {
    const moment = (time: string | null) => (time === null ? null : new Date(time));
    expect(at(situation)).toEqual({
      kind: "wait",
      reason: reason as "window",
      text,
      until: moment(until),
      due: moment(due),
    });
  });
});

const situation = fc.integer({ min: Date.UTC(2025, 0), max: Date.UTC(2028, 0) }).chain((nowMs) =>
  fc.record({
    nowMs: fc.constant(nowMs),
    meant: fc.array(anyWindow(nowMs), { maxLength: 3 }),
    ageMs: fc.integer({ min: -hour, max: 10 * day }),
    minAgeMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 * day })),
    jitterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 * hour })),
    spread: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    isFirst: fc.boolean(),
  }),
);

describe("whatever the rules", () => {
  test("waiting leads to the deploy, in an open window, at the moment that was foretold", () => {
    fc.assert(
      fc.property(situation, ({ nowMs, meant, ageMs, minAgeMs, jitterMs, spread, isFirst }) => {
        const windows = parsed(meant);
        const candidate = { tag, readyFrom: new Date(nowMs - ageMs), isFirst, spread };
        let now = new Date(nowMs);
        let foretold: Date | null = null;
        const reasons: string[] = [];
        for (;;) {
          const timing = evaluate({ windows, minAgeMs, jitterMs }, candidate, now);
          if (timing.kind === "now") break;
          expect(reasons).not.toContain(timing.reason);
          reasons.push(timing.reason);
          if (timing.until === null) {
            expect(nextOpen(windows, now.getTime())).toBeNull();
            return;
          }
          expect(timing.until.getTime()).toBeGreaterThan(now.getTime());
          if (foretold !== null) expect(timing.due).toEqual(foretold);
          foretold = timing.due;
          now = timing.until;
        }
        if (foretold !== null) expect(now).toEqual(foretold);
        if (!isFirst) expect(isOpen(windows, now.getTime())).toBe(true);
        expect(reasons).toEqual(["min-age", "window", "jitter"].filter((each) => reasons.includes(each)));
      }),
      { numRuns: 500 },
    );
  });

  test("hosts deploy in the order of their places, all of them in the first window, within the jitter", () => {
    fc.assert(
      fc.property(
        situation,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (given, other) => {
          const { nowMs, meant, jitterMs, spread } = given;
          const windows = parsed(meant);
          const openMs = nextOpen(windows, nowMs);
          if (openMs === null) return;
          const due = (place: number): number => {
            const candidate = { tag, readyFrom: new Date(nowMs), isFirst: false, spread: place };
            const timing = evaluate({ windows, minAgeMs: 0, jitterMs }, candidate, new Date(nowMs));
            return timing.kind === "now" ? nowMs : (timing.due?.getTime() ?? Number.NaN);
          };
          const [first, second] = [Math.min(spread, other), Math.max(spread, other)].map(due);
          expect(first).toBeGreaterThanOrEqual(openMs);
          expect(second ?? 0).toBeGreaterThanOrEqual(first ?? 0);
          expect(second).toBeLessThanOrEqual(openMs + jitterMs);
          expect(nextClosed(windows, openMs, (second ?? 0) - openMs)).toBeNull();
        },
      ),
      { numRuns: 300 },
    );
  });
});
