import fc from "fast-check";
import { parseWindow } from "../../src/schedule/parse.ts";
import type { Window } from "../../src/schedule/window.ts";
import { wallClock, zones } from "./zones.ts";

/** A window as a person thinks of it, for the oracle, and as it is written. */
export interface Meant {
  readonly never: boolean;
  /** `Mon`, …; null: by the dates. */
  readonly weekdays: readonly string[] | null;
  readonly dates: readonly [string, string] | null;
  readonly from: number;
  readonly to: number;
  readonly zone: string;
}

const names = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

export function written({ never, weekdays, dates, from, to, zone }: Meant): string {
  const days = dates === null ? (weekdays ?? []).join(",") : dates.join("..");
  return `${never ? "!" : ""}${days} ${clock(from)}-${clock(to)} ${zone}`;
}

export function parsed(meant: readonly Meant[]): Window[] {
  return meant.map((each) => parseWindow(written(each)));
}

/** The rule in the words of the README, on what the wall clock shows at this minute. */
export function oracle(meant: readonly Meant[], atMs: number): boolean {
  const open = meant.filter(({ never }) => !never);
  const isIn = (each: Meant): boolean => {
    const { date, minute } = wallClock(each.zone, atMs);
    if (each.from < each.to) return hasDay(each, date) && minute >= each.from && minute < each.to;
    return (hasDay(each, date) && minute >= each.from) || (hasDay(each, dayBefore(date)) && minute < each.to);
  };
  return (open.length === 0 || open.some(isIn)) && !meant.some((each) => each.never && isIn(each));
}

function hasDay({ weekdays, dates }: Meant, date: string): boolean {
  if (dates !== null) return date >= dates[0] && date <= dates[1];
  return (weekdays ?? []).includes(names[new Date(`${date}T12:00:00Z`).getUTCDay()] ?? "");
}

function dayBefore(date: string): string {
  return new Date(Date.parse(`${date}T12:00:00Z`) - 86_400_000).toISOString().slice(0, 10);
}

function clock(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

/** Near the hours at which clocks are changed as often as not. */
const minuteOfDay = fc.oneof(fc.integer({ min: 0, max: 240 }), fc.integer({ min: 0, max: 1439 }));

export const anyZone = fc.constantFrom(...zones);

export function anyWindow(aroundMs: number, zone = anyZone): fc.Arbitrary<Meant> {
  const day = (offset: number) => new Date(aroundMs + offset * 86_400_000).toISOString().slice(0, 10);
  return fc
    .record({
      never: fc.boolean(),
      weekdays: fc.subarray(names, { minLength: 1 }),
      dates: fc.option(fc.tuple(fc.integer({ min: -2, max: 2 }), fc.integer({ min: 0, max: 2 })), {
        nil: null,
      }),
      from: minuteOfDay,
      to: fc.oneof(minuteOfDay, fc.constant(1440)),
      zone,
    })
    .filter(({ from, to }) => from !== to)
    .map(({ dates, ...rest }) => {
      if (dates === null || !rest.never) return { ...rest, dates: null };
      return { ...rest, weekdays: null, dates: [day(dates[0]), day(dates[0] + dates[1])] };
    });
}
