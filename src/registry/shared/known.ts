import type { Latest } from "../registry.ts";
import type { SharedAnswer } from "./entry.ts";

/** An answer, and when the registry gave it, on this host's monotonic clock. */
export interface Known {
  readonly latest: Latest;
  readonly atMs: number;
}

/** The newest answer this host could serve. */
export class Knowledge {
  #newest: Known | null = null;

  get newest(): Known | null {
    return this.#newest;
  }

  ageMs(nowMs: number): number | null {
    return this.#newest === null ? null : Math.max(0, nowMs - this.#newest.atMs);
  }

  /**
   * What the entry says, unless this host's own answer, which may not have got into the entry, is newer: after a
   * newer answer an older one would make the agent go back to an earlier release.
   */
  learn(shared: { readonly answer: SharedAnswer; readonly atMs: number } | null, own: Known | null): void {
    if (shared !== null && (own === null || shared.atMs >= own.atMs)) {
      this.#newest = { latest: shared.answer.latest, atMs: shared.atMs };
    } else if (own !== null) this.#newest = own;
  }
}
