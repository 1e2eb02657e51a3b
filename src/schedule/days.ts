import { nearest } from "../util/suggest.ts";
import { invalidWindow } from "./invalid.ts";
import type { Days } from "./window.ts";

const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const months = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
/** Of a leap year. */
const monthLengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The days of the window `text`. */
export function parseDays(text: string, days: string): Days {
  const dates = /^(\d{4}-\d{2}-\d{2})(?:\s*\.\.\s*(\d{4}-\d{2}-\d{2}))?$/.exec(days);
  if (dates !== null) return parseDates(text, dates[1] ?? "", dates[2] ?? dates[1] ?? "");
  const year = /^([a-z]+) (\d{1,2})(?:\s*(?:-|–|\.\.)\s*([a-z]+) (\d{1,2}))?$/i.exec(days);
  if (year !== null) {
    const [, month = "", day = "", lastMonth = month, lastDay = day] = year;
    return {
      kind: "year",
      first: dayOfYear(text, month, day),
      last: dayOfYear(text, lastMonth, lastDay),
    };
  }
  return { kind: "week", days: new Set(days.split(",").flatMap((part) => parseWeekdays(text, part.trim()))) };
}

function parseWeekdays(text: string, part: string): number[] {
  if (/^(\*|daily)$/i.test(part)) return [0, 1, 2, 3, 4, 5, 6];
  const ends = part.split(/\s*[-–]\s*/);
  const [first = -1, last = first] = ends.map((name) => weekday(text, name));
  if (ends.length > 2) throw invalidWindow(text, `: "${part}" is no range of days`, "write Mon-Fri");
  // Fri-Mon passes the end of the week.
  return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, index) => (first + index) % 7);
}

function weekday(text: string, name: string): number {
  const found = indexOfName(weekdays, name);
  if (found >= 0) return found;
  const close = nearest(name, [...weekdays.map((day) => day.slice(0, 3)), ...weekdays]);
  const hint =
    close === null ? "days are Mon, Tue, Wed, Thu, Fri, Sat, Sun, or *" : `did you mean ${capital(close)}?`;
  if (/\d/.test(name)) throw invalidWindow(text, `: "${name}" is no day`, "write times as 09:00-17:00");
  throw invalidWindow(text, `: "${name}" is no day`, hint);
}

function parseDates(text: string, first: string, last: string): Days {
  const firstMs = date(text, first);
  const lastMs = date(text, last);
  if (lastMs < firstMs) throw invalidWindow(text, "ends before it begins", "write the earlier date first");
  return { kind: "dates", firstMs, lastMs };
}

function date(text: string, written: string): number {
  const ms = Date.parse(`${written}T00:00:00Z`);
  if (!Number.isNaN(ms) && new Date(ms).toISOString().startsWith(written)) return ms;
  throw invalidWindow(text, `: there is no date ${written}`, "write the year, the month and the day");
}

function dayOfYear(text: string, month: string, day: string): number {
  const index = indexOfName(months, month);
  if (index < 0) throw invalidWindow(text, `: "${month}" is no month`, "months are Jan, Feb, … Dec");
  const number = Number(day);
  if (number >= 1 && number <= (monthLengths[index] ?? 0)) return (index + 1) * 100 + number;
  throw invalidWindow(text, `: there is no ${month} ${day}`, "write a day of that month");
}

/** By the first three letters, or more of them. */
function indexOfName(names: readonly string[], written: string): number {
  const start = written.toLowerCase();
  return start.length < 3 ? -1 : names.findIndex((name) => name.startsWith(start));
}

function capital(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}
