import { nearest } from "../util/suggest.ts";
import { parseDays } from "./days.ts";
import { invalidWindow } from "./invalid.ts";
import { type Days, dayMs, type Window } from "./window.ts";
import { hostZone, knownZone } from "./zone.ts";

const form = 'write for example "Mon-Fri 09:00-17:00 Asia/Tokyo", "22:00-02:00" or "!Fri 15:00-24:00"';
const everyDay: Days = { kind: "week", days: new Set([0, 1, 2, 3, 4, 5, 6]) };

/**
 * `[!][DAYS] [HH:MM-HH:MM] [ZONE]` → a window. `!`: nothing is deployed in it. DAYS: `Mon`, `Mon-Fri`, `Sat,Sun`, `*`;
 * behind `!` also `2026-12-24..2027-01-02`, or `Dec 24-Jan 2` of every year. An end that is not behind the start is
 * on the next day. Without days every day, without times the whole day, without a zone `defaultZone`. Throws
 * `config-invalid`.
 */
export function parseWindow(text: string, defaultZone = hostZone()): Window {
  const never = text.trimStart().startsWith("!");
  const body = text.trim().replace(/^!\s*/, "");
  const { rest, zone } = takeZone(text, body, defaultZone);
  if (rest === "") throw invalidWindow(text, "names neither days nor times", form);
  const { days, time } = splitTime(rest);
  const when = days === "" ? everyDay : parseDays(text, days);
  if (when.kind !== "week" && !never) {
    throw invalidWindow(text, "names dates, which go with ! only", "write ! before the dates to keep off");
  }
  return { text: text.trim(), never, days: when, ...parseTimes(text, time), zone };
}

/** What follows days and times, if it does not look like them. */
function takeZone(text: string, body: string, defaultZone: string): { rest: string; zone: string } {
  const [last = "", ...before] = body.split(/\s+/).reverse();
  const isZone =
    last.includes("/") ||
    /^(utc|gmt|z)$/i.test(last) ||
    (/^[a-z]/i.test(last) && /\d:\d/.test(before[0] ?? ""));
  if (!isZone) return { rest: body, zone: defaultZone };
  const zone = knownZone(/^z$/i.test(last) ? "UTC" : last);
  if (zone === null) {
    const close = nearest(last, Intl.supportedValuesOf("timeZone"));
    const hint = close === null ? "write for example Asia/Tokyo or UTC" : `did you mean ${close}?`;
    throw invalidWindow(text, `: there is no time zone ${last}`, hint);
  }
  return { rest: before.reverse().join(" "), zone };
}

function splitTime(rest: string): { days: string; time: string } {
  const at = rest.search(/(?<!\S)\d{1,2}:/);
  return at < 0 ? { days: rest, time: "" } : { days: rest.slice(0, at).trim(), time: rest.slice(at) };
}

function parseTimes(text: string, time: string): { startMs: number; endMs: number } {
  if (time === "") return { startMs: 0, endMs: dayMs };
  const match = /^(\d{1,2}):(\d{2})\s*(?:-|–)\s*(\d{1,2}):(\d{2})$/.exec(time);
  if (match === null) throw invalidWindow(text, `: "${time}" is not a range of times`, form);
  const startMs = timeOfDay(text, match[1], match[2]);
  const endMs = timeOfDay(text, match[3], match[4]);
  if (startMs === dayMs) throw invalidWindow(text, "begins at 24:00", "write 00:00 and the next day");
  if (startMs === endMs) throw invalidWindow(text, "is empty", "leave the times out for the whole day");
  return { startMs, endMs };
}

function timeOfDay(text: string, hours = "", minutes = ""): number {
  const ms = (Number(hours) * 60 + Number(minutes)) * 60_000;
  if (Number(minutes) < 60 && ms <= dayMs) return ms;
  throw invalidWindow(text, `: there is no time ${hours}:${minutes}`, "times go from 00:00 to 24:00");
}
