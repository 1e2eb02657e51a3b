/** What a host knows of the age of something that another host wrote: by its own eyes, and by the writer's clock. */
export interface Sighting {
  readonly id: string;
  /** On this host's monotonic clock. */
  readonly firstSeenMs: number;
  /** The look before, which did not show it, was this much earlier; null: there was none. */
  readonly gapMs: number | null;
  /** How old the writer's and this host's wall clock made it when it was first seen; never negative. */
  readonly clockAgeMs: number;
}

/**
 * What the time to the next call is counted by: never more than the true age if this host looks often enough to be its
 * own witness, whatever the clocks say. Who looks but now and then, or for the first time, has only the clocks.
 */
export function restAgeMs(sighting: Sighting, nowMs: number, windowMs: number): number {
  const { gapMs, firstSeenMs } = sighting;
  if (gapMs !== null && gapMs <= 2 * windowMs) return nowMs - firstSeenMs;
  return likelyAgeMs(sighting, nowMs);
}

/** As old as the clocks say, within what this host saw: written between two looks. */
export function likelyAgeMs({ firstSeenMs, gapMs, clockAgeMs }: Sighting, nowMs: number): number {
  return nowMs - firstSeenMs + Math.min(clockAgeMs, gapMs ?? Number.POSITIVE_INFINITY);
}

/** Keeps an eye on one thing that others replace. */
export class Watch {
  #seen: Sighting | null = null;
  #lookedMs: number | null = null;

  /** A look that lasted from `startMs` to `endMs` on the monotonic clock. null: there is nothing. */
  note<T extends { readonly id: string; readonly clockAgeMs: number }>(
    found: T | null,
    { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  ): Sighting | null {
    const before = this.#lookedMs;
    this.#lookedMs = startMs;
    if (found === null) this.#seen = null;
    else if (this.#seen?.id !== found.id) {
      const clockAgeMs = Math.max(0, found.clockAgeMs);
      const gapMs = before === null ? null : endMs - before;
      this.#seen = { id: found.id, firstSeenMs: endMs, gapMs, clockAgeMs };
    }
    return this.#seen;
  }
}
