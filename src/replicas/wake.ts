import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";

/** Ends a loop's pause early; a call that finds nobody asleep ends the next pause. */
export class Wake {
  #isDue = false;
  #end: (() => void) | null = null;

  constructor(private readonly clock: Clock) {}

  call(): void {
    this.#isDue = true;
    this.#end?.();
  }

  /** Resolves after `ms`, or when called; rejects when `c` aborts. */
  async wait(ms: number, c: Call): Promise<void> {
    const over = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#end = resolve;
    if (this.#isDue) resolve();
    const late = this.clock.sleep(ms, AbortSignal.any([c.signal, over.signal]));
    try {
      await Promise.race([promise, late]);
    } finally {
      this.#end = null;
      this.#isDue = false;
      over.abort();
      late.catch(() => undefined);
    }
  }
}
