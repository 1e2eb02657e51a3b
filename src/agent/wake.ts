import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";

/** Ends a pause before its time. */
export class Wake {
  #called = new AbortController();

  constructor(private readonly clock: Clock) {}

  /** The pause under way is over; without one, the next one is. */
  now(): void {
    this.#called.abort();
  }

  /** `ms`, or until somebody calls, but never less than `leastMs`. Rejects when `c` aborts. */
  async pause(ms: number, leastMs: number, c: Call): Promise<void> {
    const fromMs = this.clock.monotonicMs();
    try {
      await this.clock.sleep(ms, AbortSignal.any([c.signal, this.#called.signal]));
    } catch {
      c.signal.throwIfAborted();
      const restMs = leastMs - (this.clock.monotonicMs() - fromMs);
      if (restMs > 0) await this.clock.sleep(restMs, c.signal);
    } finally {
      this.#called = new AbortController();
    }
  }
}
