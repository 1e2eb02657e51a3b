import { offsetAt } from "./zone.ts";

export const dayMs = 24 * 3_600_000;

/** A time of the week or the year at which deploys may happen, or may not. */
export interface Window {
  /** As the operator wrote it. */
  readonly text: string;
  /** Nothing is deployed in it. */
  readonly never: boolean;
  readonly days: Days;
  /** Milliseconds of the local day by the wall clock; an end that is not behind the start is on the next day. */
  readonly startMs: number;
  readonly endMs: number;
  /** IANA name. */
  readonly zone: string;
}

/** The local days on which a window begins. */
export type Days =
  /** Sunday is 0. */
  | { readonly kind: "week"; readonly days: ReadonlySet<number> }
  /** Both as midnight UTC of that date, both included. */
  | { readonly kind: "dates"; readonly firstMs: number; readonly lastMs: number }
  /** Both as month × 100 + day, both included; the last may be before the first: over New Year. */
  | { readonly kind: "year"; readonly first: number; readonly last: number };

/**
 * Whether the wall clock of the window's zone shows a time that is in it. So a time that a change of the clocks skips
 * is never shown: a window that begins in the gap begins with the jump; and what is shown twice counts twice.
 */
export function isIn(window: Window, atMs: number): boolean {
  const { days, startMs, endMs, zone } = window;
  const localMs = atMs + offsetAt(zone, atMs);
  const midnightMs = Math.floor(localMs / dayMs) * dayMs;
  const timeMs = localMs - midnightMs;
  if (startMs < endMs) return startMs <= timeMs && timeMs < endMs && isDay(days, midnightMs);
  if (timeMs >= startMs) return isDay(days, midnightMs);
  return timeMs < endMs && isDay(days, midnightMs - dayMs);
}

function isDay(days: Days, midnightMs: number): boolean {
  const date = new Date(midnightMs);
  switch (days.kind) {
    case "week":
      return days.days.has(date.getUTCDay());
    case "dates":
      return days.firstMs <= midnightMs && midnightMs <= days.lastMs;
    case "year": {
      const day = (date.getUTCMonth() + 1) * 100 + date.getUTCDate();
      const { first, last } = days;
      return first <= last ? first <= day && day <= last : day >= first || day <= last;
    }
  }
}
