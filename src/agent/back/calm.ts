import type { Clock } from "../../util/time.ts";

/**
 * How long the app has been seen to be calm. Neither a clock that is set nor the time an agent was off counts: nobody
 * knows how the app was then.
 */
export class Calm {
  #sinceMs: number;

  constructor(private readonly clock: Pick<Clock, "monotonicMs">) {
    this.#sinceMs = clock.monotonicMs();
  }

  get ms(): number {
    return this.clock.monotonicMs() - this.#sinceMs;
  }

  /** It died, or is down. */
  end(): void {
    this.#sinceMs = this.clock.monotonicMs();
  }
}
