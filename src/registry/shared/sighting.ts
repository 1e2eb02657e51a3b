/** What a host knows of the age of something that another host wrote: by its own eyes, and by the writer's clock. */
export interface Sighting {
  readonly id: string;
  /** On this host's monotonic clock. */
  readonly firstSeenMs: number;
  /** The look before, which did not show it, was this much earlier; null: there was none. */
  readonly gapMs: number | null;
  /**
   * How old the writer's and this host's wall clock made it when it was first seen; never negative. Infinite: it has
   * a time so far in the future that the clocks say nothing.
   */
  readonly clockAgeMs: number;
}

/** Clocks that are set by NTP don't differ by more; what a wrong one wrote must not stay new until its time comes. */
const maxAheadMs = 5 * 60_000;

/**
 * What the time to the next call is counted by: never more than the true age if this host looks often enough to be its
 * own witness, whatever the clocks say. Who looks but now and then, or for the first time, has only the clocks.
 */
export function restAgeMs(sighting: Sighting, nowMs: number, windowMs: number): number {
  const { gapMs, firstSeenMs } = sighting;
  if (gapMs !== null && gapMs <= 2 * windowMs) return nowMs - firstSeenMs;
  return likelyAgeMs(sighting, nowMs);
}

/**
 * What tells a dead claim: what this host saw of it, so that no clock makes a living one look dead. A process that
 * looks for the first time, and perhaps for the only one, has the clocks.
 */
export function claimAgeMs(sighting: Sighting, nowMs: number): number {
  return sighting.gapMs === null ? likelyAgeMs(sighting, nowMs) : nowMs - sighting.firstSeenMs;
}

/** As old as the clocks say, within what this host saw: written between two looks. Infinite: neither tells. */
export function likelyAgeMs({ firstSeenMs, gapMs, clockAgeMs }: Sighting, nowMs: number): number {
  return nowMs - firstSeenMs + Math.min(clockAgeMs, gapMs ?? Number.POSITIVE_INFINITY);
}

/** Keeps an eye on one thing that others replace. */
export class Watch {
  #seen: Sighting | null = null;
  #lookedMs: number | null = null;

  /**
   * A look that lasted from `startMs` to `endMs` on the monotonic clock; `clockAgeMs` is negative for a time in the
   * future. null: there is nothing.
   */
  note<T extends { readonly id: string; readonly clockAgeMs: number }>(
    found: T | null,
    { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  ): Sighting | null {
    const before = this.#lookedMs;
    this.#lookedMs = startMs;
    if (found === null) this.#seen = null;
    else if (this.#seen?.id !== found.id) {
      const known = found.clockAgeMs >= -maxAheadMs;
      const clockAgeMs = known ? Math.max(0, found.clockAgeMs) : Number.POSITIVE_INFINITY;
      const gapMs = before === null ? null : endMs - before;
      this.#seen = { id: found.id, firstSeenMs: endMs, gapMs, clockAgeMs };
    }
    return this.#seen;
  }
}
