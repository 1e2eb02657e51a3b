import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DewyError } from "../../src/errors.ts";
import { formatDuration, parseDuration, roughDuration, systemClock } from "../../src/util/time.ts";

describe("parseDuration", () => {
  test.each([
    ["0", 0],
    ["10", 10_000],
    ["2.5", 2500],
    ["10s", 10_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["500ms", 500],
    ["1.1s", 1100],
    ["1.5us", 0.0015],
    ["1\u00b5s", 0.001],
    ["1\u03bcs", 0.001],
    ["1ns", 0.000001],
    ["1m30m", 1_860_000],
  ])("%s is %p ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    "",
    " ",
    "10x",
    "s",
    "1h30",
    "-5s",
    "+5s",
    "10 s",
    " 10s",
    "1e3s",
    "10S",
    "1,5s",
    ".",
    "9".repeat(400),
    "0x10",
  ])("%j is refused and the error says what would be right", (text) => {
    const attempt = () => parseDuration(text);
    expect(attempt).toThrow(DewyError);
    expect(attempt).toThrow("is not a duration");
  });

  test("what formatDuration prints reads back to the nanosecond", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 49 }), (ns) => {
        expect(Math.round(parseDuration(formatDuration(ns / 1e6)) * 1e6)).toBe(ns);
      }),
    );
  });

  test("any text is a finite number of milliseconds or an error with a hint", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9.hmsun]*$/)), (text) => {
        try {
          const ms = parseDuration(text);
          expect(Number.isFinite(ms) && ms >= 0).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "config-invalid", hint: expect.any(String) });
        }
      }),
    );
  });
});

describe("formatDuration prints what Go's Duration.String prints", () => {
  test.each([
    [0, "0s"],
    [0.0000001, "0s"],
    [0.000999, "999ns"],
    [0.0015, "1.5µs"],
    [999.999999, "999.999999ms"],
    [59_999.999999, "59.999999999s"],
    [60_000, "1m0s"],
    [60_000.0001, "1m0.0000001s"],
    [1_800_000, "30m0s"],
    [86_400_001, "24h0m0.001s"],
    [-1500, "-1.5s"],
  ])("%p ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

test.each([
  [0.4, "0s"],
  [250.4, "250ms"],
  [9_999.6, "10s"],
  [10_000, "10s"],
  [10_001, "10s"],
  [2_460_043, "41m0s"],
])("%d ms are roughly %s", (ms, text) => {
  expect(roughDuration(ms)).toBe(text);
});

describe("systemClock.sleep", () => {
  test("rejects with the signal's reason, before and during the sleep", async () => {
    const reason = new Error("stop");
    expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const sleep = systemClock.sleep(60_000, controller.signal);
    controller.abort(reason);
    expect(sleep).rejects.toBe(reason);
  });
});
