import type { DewyError } from "../errors.ts";
import type { Clock } from "../util/time.ts";

/**
 * Aborts `signal` once something has been awaited for `limitMs`. Between `rest()` and the next `wait()` no time
 * counts, so that a consumer busy with its disk is not taken for a silent server. End it with `stop()`.
 */
export class Watchdog {
  readonly #expired = new AbortController();
  readonly #stopped = new AbortController();
  #waitingSinceMs: number | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly limitMs: number,
    private readonly reason: () => DewyError,
  ) {
    void this.#watch();
  }

  /** Aborted with `reason()` when the time is over. */
  get signal(): AbortSignal {
    return this.#expired.signal;
  }

  wait(): void {
    this.#waitingSinceMs = this.clock.monotonicMs();
  }

  rest(): void {
    this.#waitingSinceMs = null;
  }

  stop(): void {
    this.#stopped.abort();
  }

  async #watch(): Promise<void> {
    let sleepMs = this.limitMs;
    while (!this.#stopped.signal.aborted) {
      try {
        await this.clock.sleep(sleepMs, this.#stopped.signal);
      } catch {
        return; // stopped
      }
      const since = this.#waitingSinceMs;
      const waitedMs = since === null ? 0 : this.clock.monotonicMs() - since;
      if (waitedMs >= this.limitMs) return this.#expired.abort(this.reason());
      sleepMs = this.limitMs - waitedMs;
    }
  }
}
