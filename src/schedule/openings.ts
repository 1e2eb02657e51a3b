import { dayMs, isIn, type Window } from "./window.ts";
import { evenStretches } from "./zone.ts";

/** A week recurs, but summer time makes two zones agree only for a part of the year. */
export const horizonMs = 400 * dayMs;
/** After so long weekdays fall on the same dates again. */
const calendarCycleMs = 28 * 366 * dayMs;
/** Who is to deploy at no moment of so long a time is to deploy never. */
const tooLongMs = 3653 * dayMs;
const stepMs = 6 * 3_600_000;

/** In one of the windows, if there are any but those of never, and in none of never. */
export function isOpen(windows: readonly Window[], atMs: number): boolean {
  const open = windows.filter(({ never }) => !never);
  if (open.length > 0 && !open.some((window) => isIn(window, atMs))) return false;
  return !windows.some((window) => window.never && isIn(window, atMs));
}

/** The first open moment at or after `fromMs`; null: none before `fromMs` + `withinMs`. */
export function nextOpen(windows: readonly Window[], fromMs: number, withinMs = horizonMs): number | null {
  return firstMoment(windows, fromMs, withinMs, true);
}

/** The first moment at or after `fromMs` that is not open. */
export function nextClosed(windows: readonly Window[], fromMs: number, withinMs: number): number | null {
  return firstMoment(windows, fromMs, withinMs, false);
}

/**
 * Whether no moment will ever be open, once the dates that are named have passed or, where they reach too far, from next
 * year on: what is open only before then ends in a wait that nobody lives to see the end of.
 */
export function neverOpens(windows: readonly Window[], nowMs: number): boolean {
  const lastDateMs = Math.max(
    nowMs,
    ...windows.map(({ days }) => (days.kind === "dates" ? days.lastMs + 3 * dayMs : 0)),
  );
  if (lastDateMs > nowMs + tooLongMs) return nextOpen(windows, nowMs + horizonMs, tooLongMs) === null;
  const yearly = windows.some(({ days }) => days.kind === "year");
  return nextOpen(windows, lastDateMs, yearly ? calendarCycleMs : horizonMs) === null;
}

function firstMoment(windows: readonly Window[], fromMs: number, withinMs: number, open: boolean) {
  if (isOpen(windows, fromMs) === open) return fromMs;
  if (windows.length === 0) return null;
  for (const edgeMs of edges(windows, fromMs, fromMs + withinMs)) {
    if (isOpen(windows, edgeMs) === open) return edgeMs;
  }
  return null;
}

/** In order every moment at which a window may begin or end: between two of them nothing changes. */
function* edges(windows: readonly Window[], fromMs: number, toMs: number): Generator<number> {
  const times = new Map<string, Set<number>>();
  for (const { zone, startMs, endMs } of windows) {
    const known = times.get(zone) ?? new Set([0]);
    times.set(zone, known.add(startMs % dayMs).add(endMs % dayMs));
  }
  for (let stepFrom = fromMs; stepFrom < toMs; ) {
    const stepTo = Math.min(toMs, (Math.floor(stepFrom / stepMs) + 1) * stepMs);
    const found = [...times].flatMap(([zone, known]) => zoneEdges(zone, known, stepFrom, stepTo));
    yield* found.sort((a, b) => a - b);
    stepFrom = stepTo;
  }
}

/** The moments at which the zone's wall clock jumps, or shows one of the times of day. */
function zoneEdges(zone: string, times: ReadonlySet<number>, fromMs: number, toMs: number): number[] {
  return evenStretches(zone, fromMs, toMs).flatMap((stretch) => {
    const localMs = stretch.fromMs + stretch.offsetMs;
    const shown = [...times].map((timeMs) => stretch.fromMs + modulo(timeMs - localMs, dayMs));
    return [stretch.fromMs, ...shown.filter((atMs) => atMs < stretch.toMs)];
  });
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
