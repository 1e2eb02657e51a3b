import { describe, expect, test } from "bun:test";
import { parseMoment } from "../../src/cli/operator/moment.ts";

/** In the time zone of this process, whatever that is. */
const now = new Date(2026, 10, 21, 12, 30, 0);

describe("a moment", () => {
  test.each<[string, Date]>([
    ["17:00", new Date(2026, 10, 21, 17, 0)],
    ["12:30", new Date(2026, 10, 22, 12, 30)],
    ["9:05", new Date(2026, 10, 22, 9, 5)],
    ["2026-12-01", new Date(2026, 11, 1)],
    ["2026-12-01T08:00", new Date(2026, 11, 1, 8, 0)],
    ["2026-12-01T08:00:30", new Date(2026, 11, 1, 8, 0, 30)],
    ["2026-12-01T08:00Z", new Date("2026-12-01T08:00:00Z")],
    ["2026-12-01T08:00+09:00", new Date("2026-11-30T23:00:00Z")],
    ["2h", new Date(2026, 10, 21, 14, 30)],
    ["1h30m", new Date(2026, 10, 21, 14, 0)],
  ])("%s", (text, moment) => {
    expect(parseMoment(text, now)).toEqual(moment);
  });

  test.each([
    "",
    "soon",
    "25:00",
    "12:60",
    "2026-13-01",
    "2026-02-30",
    "2026-02-30T08:00",
    "10",
    "-2h",
    "17",
    "1e9h",
    "99999-12-01",
  ])("%p is none", (text) => {
    expect(() => parseMoment(text, now)).toThrow(
      expect.objectContaining({ message: `"${text}" is no time` }),
    );
  });

  test("ten years are the most that is meant", () => {
    expect(parseMoment("2036-11-21T12:30", now)).toEqual(new Date(2036, 10, 21, 12, 30));
  });

  test.each(["2036-11-21T12:31", "9999-12-01", "87700h", "999999999h", `${"9".repeat(40)}h`])(
    "%s is too far away",
    (text) => {
      expect(() => parseMoment(text, now)).toThrow(`"${text}" is more than ten years from now`);
    },
  );

  test.each(["2026-11-21T12:00", "2020-01-01", "0s"])("%s is over", (text) => {
    expect(() => parseMoment(text, now)).toThrow(`"${text}" is over`);
  });
});
