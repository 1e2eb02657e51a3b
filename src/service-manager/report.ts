/** What the agent is like at a moment, as far as its service manager wants to know. */
export interface Seen {
  /** It does what it was started for. */
  readonly isUp: boolean;
  /** A line for people. */
  readonly status: string;
  /** Its work moves on, or there is none. */
  readonly isMoving: boolean;
  readonly nowMs: number;
}

/** What the service manager has been told. */
export interface Told {
  readonly isReady: boolean;
  readonly status: string | null;
  /** When it last heard that the agent is alive; null: never. */
  readonly aliveMs: number | null;
  /** When it last heard that the start takes longer; null: never. */
  readonly startingMs: number | null;
}

export const nothingTold: Told = { isReady: false, status: null, aliveMs: null, startingMs: null };

const startingEveryMs = 60_000;
/** A good deal longer than until the next sign. */
const startExtensionMs = 600_000;

/**
 * The assignments that are due, by sd_notify(3)'s names, and what will have been told with them. `aliveEveryMs` null:
 * there is no watchdog. A stuck agent tells no life, and is ended for it; so is one that is stuck in its start, which a
 * unit's TimeoutStartSec may not cut short: an app that a killed agent left may take its time to end.
 */
export function due(
  seen: Seen,
  told: Told,
  aliveEveryMs: number | null,
): { assignments: readonly string[]; told: Told } {
  const isAliveDue =
    aliveEveryMs !== null &&
    seen.isMoving &&
    (told.aliveMs === null || seen.nowMs - told.aliveMs >= aliveEveryMs);
  const isLongerDue =
    !seen.isUp &&
    !told.isReady &&
    seen.isMoving &&
    (told.startingMs === null || seen.nowMs - told.startingMs >= startingEveryMs);
  const assignments = [
    ...(isLongerDue ? [extensionAssignment(startExtensionMs)] : []),
    ...(seen.isUp && !told.isReady ? ["READY=1"] : []),
    ...(seen.status === told.status ? [] : [statusAssignment(seen.status)]),
    ...(isAliveDue ? ["WATCHDOG=1"] : []),
  ];
  return {
    assignments,
    told: {
      isReady: told.isReady || seen.isUp,
      status: seen.status,
      aliveMs: isAliveDue ? seen.nowMs : told.aliveMs,
      startingMs: isLongerDue ? seen.nowMs : told.startingMs,
    },
  };
}

/** An assignment is a line. */
export function statusAssignment(text: string): string {
  return `STATUS=${text.replace(/\s+/g, " ")}`;
}

/** What is under way takes at most so much longer. */
export function extensionAssignment(withinMs: number): string {
  return `EXTEND_TIMEOUT_USEC=${Math.ceil(withinMs) * 1000}`;
}
