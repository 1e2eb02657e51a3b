import { setImmediate } from "node:timers/promises";
import type { Call } from "../../util/async.ts";

const turnMs = 10;

/** Lets the event loop have its turn while files are read and written synchronously. */
export class Pace {
  readonly #signal: AbortSignal;
  #since = performance.now();

  constructor(c: Call) {
    this.#signal = c.signal;
  }

  /** To be awaited between pieces of work, when `due`. Rejects with the signal's reason when it has aborted. */
  async turn(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
    this.#signal.throwIfAborted();
  }

  /** Whether the loop was kept for 10 ms. */
  get due(): boolean {
    return performance.now() - this.#since >= turnMs;
  }
}
