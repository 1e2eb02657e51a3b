import { DewyError } from "../../errors.ts";
import { parseDuration } from "../../util/time.ts";

const clockTime = /^(\d{1,2}):(\d{2})$/;
const dateTime = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?)?$/;
const mostYears = 10;

/**
 * `17:00` (today, or tomorrow if that is over), `2026-12-01`, `2026-12-01T08:00` (both in this machine's time zone
 * unless one is written), or a length of time from now: `2h`, `1h30m`. `config-invalid` on anything else, on what is
 * over, and on what is more than ten years away: that is a slip, or means for ever.
 */
export function parseMoment(text: string, now: Date): Date {
  const moment = clockMoment(text, now) ?? dateMoment(text) ?? durationMoment(text, now);
  if (moment === null) {
    throw new DewyError("config-invalid", `"${text}" is no time`, {
      hint: "write 17:00, 2026-12-01T08:00 or 2h",
    });
  }
  // A time that no Date can hold is later than all others.
  if (!(moment <= yearsFrom(now, mostYears))) {
    throw new DewyError("config-invalid", `"${text}" is more than ten years from now`, {
      hint: "name an earlier time; without --until it lasts until `dewy resume`",
    });
  }
  if (moment > now) return moment;
  throw new DewyError("config-invalid", `"${text}" is over`, { hint: "write a time that is still to come" });
}

function yearsFrom(now: Date, years: number): Date {
  const then = new Date(now);
  then.setFullYear(then.getFullYear() + years);
  return then;
}

function clockMoment(text: string, now: Date): Date | null {
  const [, hours, minutes] = clockTime.exec(text)?.map(Number) ?? [];
  if (hours === undefined || minutes === undefined || hours > 23 || minutes > 59) return null;
  const today = new Date(now);
  today.setHours(hours, minutes, 0, 0);
  if (today > now) return today;
  // By the calendar: a day may have 23 or 25 hours.
  today.setDate(today.getDate() + 1);
  today.setHours(hours, minutes, 0, 0);
  return today;
}

function dateMoment(text: string): Date | null {
  if (!dateTime.test(text)) return null;
  // A date alone would be read as UTC's.
  const moment = new Date(text.includes("T") ? text : `${text}T00:00`);
  if (Number.isNaN(moment.getTime())) return null;
  // 2026-02-30 would become the 2nd of March.
  const [year, month, day] = text.slice(0, 10).split("-").map(Number);
  const last = new Date(Date.UTC(year ?? 0, month ?? 0, 0)).getUTCDate();
  return (day ?? 0) > last ? null : moment;
}

function durationMoment(text: string, now: Date): Date | null {
  // Seconds without a unit, as flags take them, are too easily an hour of the day.
  if (/^[\d.]+$/.test(text)) return null;
  try {
    return new Date(now.getTime() + parseDuration(text));
  } catch {
    return null;
  }
}
