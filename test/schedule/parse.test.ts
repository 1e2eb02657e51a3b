import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { parseWindow } from "../../src/schedule/parse.ts";
import type { Days } from "../../src/schedule/window.ts";

const minute = 60_000;
const zone = "Europe/Berlin";

function week(...days: number[]): Days {
  return { kind: "week", days: new Set(days) };
}

const everyDay = week(0, 1, 2, 3, 4, 5, 6);

describe("a window", () => {
  test.each<[string, Days, number, number, string]>([
    ["Mon-Fri 09:00-17:00 Asia/Tokyo", week(1, 2, 3, 4, 5), 540, 1020, "Asia/Tokyo"],
    ["mon-FRI 9:00-17:00 asia/tokyo", week(1, 2, 3, 4, 5), 540, 1020, "Asia/Tokyo"],
    ["  Mon - Fri   09:00 - 17:00  ", week(1, 2, 3, 4, 5), 540, 1020, zone],
    ["Monday-Friday 09:00-17:00", week(1, 2, 3, 4, 5), 540, 1020, zone],
    ["Sat,Sun", week(6, 0), 0, 1440, zone],
    ["Mon-Tue,Thurs 22:00-02:00 UTC", week(1, 2, 4), 1320, 120, "UTC"],
    ["Fri-Mon", week(5, 6, 0, 1), 0, 1440, zone],
    ["Wed-Wed", week(3), 0, 1440, zone],
    ["09:00-17:00", everyDay, 540, 1020, zone],
    ["* 09:00-24:00 utc", everyDay, 540, 1440, "UTC"],
    ["daily 22:00-00:00 America/Argentina/Buenos_Aires", everyDay, 1320, 0, "America/Argentina/Buenos_Aires"],
  ])("%s", (text, days, start, end, zoneName) => {
    expect(parseWindow(text, zone)).toEqual({
      text: text.trim(),
      never: false,
      days,
      startMs: start * minute,
      endMs: end * minute,
      zone: zoneName,
    });
  });

  test.each<[string, Days]>([
    ["!Fri 15:00-24:00", week(5)],
    ["! Fri 15:00-24:00", week(5)],
    [
      "!2026-12-24..2027-01-02",
      { kind: "dates", firstMs: Date.UTC(2026, 11, 24), lastMs: Date.UTC(2027, 0, 2) },
    ],
    [
      "!2026-12-24 15:00-24:00",
      { kind: "dates", firstMs: Date.UTC(2026, 11, 24), lastMs: Date.UTC(2026, 11, 24) },
    ],
    ["!Dec 24-Jan 2", { kind: "year", first: 1224, last: 102 }],
    ["!December 24 .. January 2 UTC", { kind: "year", first: 1224, last: 102 }],
    ["!Feb 29", { kind: "year", first: 229, last: 229 }],
  ])("of never: %s", (text, days) => {
    expect(parseWindow(text, zone)).toMatchObject({ text, never: true, days });
  });

  test("has the host's zone unless it names one", () => {
    expect(parseWindow("Mon").zone).toBe(Intl.DateTimeFormat().resolvedOptions().timeZone);
  });
});

describe("nonsense is refused:", () => {
  test.each<[string, string, string]>([
    ["", '"" names neither days nor times', "write for example"],
    ["!", '"!" names neither days nor times', "write for example"],
    ["Asia/Tokyo", '"Asia/Tokyo" names neither days nor times', "write for example"],
    ["Mon 25:00-26:00", '"Mon 25:00-26:00": there is no time 25:00', "00:00 to 24:00"],
    ["Mon 09:60-10:00", '"Mon 09:60-10:00": there is no time 09:60', "00:00 to 24:00"],
    ["Mon 09:00-24:01", '"Mon 09:00-24:01": there is no time 24:01', "00:00 to 24:00"],
    ["Mon 24:00-02:00", '"Mon 24:00-02:00" begins at 24:00', "the next day"],
    ["Mon 09:00-09:00", '"Mon 09:00-09:00" is empty', "the whole day"],
    ["Mon 09:00", '"Mon 09:00": "09:00" is not a range of times', "write for example"],
    ["Mon 9-17", '"Mon 9-17": "Mon 9" is no day', "write times as 09:00-17:00"],
    ["09:00-17:00 Mon", '"09:00-17:00 Mon": there is no time zone Mon', "Asia/Tokyo or UTC"],
    [
      "Mon-Fri 09:00-17:00 Asia/Tokio",
      '"Mon-Fri 09:00-17:00 Asia/Tokio": there is no time zone Asia/Tokio',
      "did you mean Asia/Tokyo?",
    ],
    ["09:00-17:00 JST", '"09:00-17:00 JST": there is no time zone JST', "Asia/Tokyo or UTC"],
    ["Mo", '"Mo": "Mo" is no day', "did you mean Mon?"],
    ["Mon-Wed-Fri", '"Mon-Wed-Fri": "Mon-Wed-Fri" is no range of days', "write Mon-Fri"],
    ["Mon,,Fri", '"Mon,,Fri": "" is no day', "days are Mon"],
    ["2026-12-24", '"2026-12-24" names dates, which go with ! only', "write ! before"],
    ["Dec 24-Jan 2", '"Dec 24-Jan 2" names dates, which go with ! only', "write ! before"],
    ["!2026-02-30", '"!2026-02-30": there is no date 2026-02-30', "the year, the month and the day"],
    ["!2027-01-02..2026-12-24", '"!2027-01-02..2026-12-24" ends before it begins', "the earlier date first"],
    ["!Feb 30", '"!Feb 30": there is no Feb 30', "a day of that month"],
    ["!Foo 3", '"!Foo 3": "Foo" is no month', "months are Jan"],
  ])("%j", (text, message, hint) => {
    expect(() => parseWindow(text, zone)).toThrow(DewyError);
    try {
      parseWindow(text, zone);
    } catch (error) {
      expect(error).toMatchObject({ code: "config-invalid", message, hint: expect.stringContaining(hint) });
    }
  });
});
