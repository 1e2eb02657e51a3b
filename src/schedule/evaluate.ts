import { formatDuration } from "../util/time.ts";
import { isOpen, nextClosed, nextOpen } from "./openings.ts";
import { isIn, type Window } from "./window.ts";

/** When deploys may happen. */
export interface Rules {
  readonly windows: readonly Window[];
  /** A release must be this old. */
  readonly minAgeMs: number;
  /** Hosts deploy one release at different moments of this time. */
  readonly jitterMs: number;
}

export const always: Rules = { windows: [], minAgeMs: 0, jitterMs: 0 };

interface Candidate {
  readonly tag: string;
  /** When the release was made or, where nobody says so, first seen here. */
  readonly readyFrom: Date;
  /** Nothing is deployed here yet: better now than nothing. Its age counts all the same. */
  readonly isFirst: boolean;
  /** From 0 up to, not including, 1: this host's place among all, from spreadOf(). */
  readonly spread: number;
}

export type Timing =
  | { readonly kind: "now" }
  | {
      readonly kind: "wait";
      readonly reason: "min-age" | "window" | "jitter";
      /** A clause for people, without the time. */
      readonly text: string;
      /** When to ask again: this reason is gone then, another may come. null: not within a year. */
      readonly until: Date | null;
      /** When it may be deployed, all reasons considered; null: not within a year. */
      readonly due: Date | null;
    };

/** Whether a release may be deployed at a moment, and if not: why, and until when. */
export function evaluate(rules: Rules, candidate: Candidate, now: Date): Timing {
  const { windows, minAgeMs, jitterMs } = rules;
  const { tag, readyFrom, isFirst } = candidate;
  const nowMs = now.getTime();
  const oldEnoughMs = readyFrom.getTime() + minAgeMs;
  const dueMs = isFirst ? oldEnoughMs : dueMoment(rules, candidate.spread, oldEnoughMs);
  // A clock that is behind the registry's must not hold up what need not be old.
  if (minAgeMs > 0 && nowMs < oldEnoughMs) {
    const text = `${tag} is not ${brief(minAgeMs)} old yet (--min-age)`;
    return { kind: "wait", reason: "min-age", text, until: new Date(oldEnoughMs), due: dateOf(dueMs) };
  }
  if (isFirst) return { kind: "now" };
  if (!isOpen(windows, nowMs)) {
    const openMs = nextOpen(windows, nowMs);
    const due = dateOf(openMs === null ? null : Math.max(openMs, dueMs ?? openMs));
    const text = `${tag} waits for a window: ${closedBy(windows, nowMs)}`;
    return { kind: "wait", reason: "window", text, until: dateOf(openMs), due };
  }
  if (jitterMs > 0 && dueMs !== null && nowMs < dueMs) {
    const text = `${tag} waits for this host's turn within ${brief(jitterMs)} (--jitter)`;
    return { kind: "wait", reason: "jitter", text, until: new Date(dueMs), due: new Date(dueMs) };
  }
  return { kind: "now" };
}

/**
 * This host's moment in the window in which the release may first be deployed. Where the window is shorter than the
 * jitter the hosts share what there is, so that none of them has to wait for the next one.
 */
function dueMoment({ windows, jitterMs }: Rules, spread: number, fromMs: number): number | null {
  const openMs = nextOpen(windows, fromMs);
  if (openMs === null || jitterMs === 0) return openMs;
  const closedMs = nextClosed(windows, openMs, jitterMs) ?? openMs + jitterMs;
  return openMs + Math.floor(spread * Math.min(jitterMs, closedMs - openMs));
}

function closedBy(windows: readonly Window[], nowMs: number): string {
  const never = windows.find((window) => window.never && isIn(window, nowMs));
  if (never !== undefined) return `none is deployed in ${named(never)} (--window)`;
  return `${windows
    .filter((window) => !window.never)
    .map(named)
    .join(" or ")} (--window)`;
}

/** With its zone, which whoever reads it elsewhere would otherwise take for his own. */
function named({ text, zone }: Window): string {
  const bare = text.replace(/^!\s*/, "");
  return bare.toLowerCase().endsWith(` ${zone.toLowerCase()}`) ? bare : `${bare} ${zone}`;
}

/** `1h` where Go would write `1h0m0s`. */
function brief(ms: number): string {
  return formatDuration(ms)
    .replace(/(\D)0s$/, "$1")
    .replace(/h0m$/, "h");
}

function dateOf(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
