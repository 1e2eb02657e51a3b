import type { Clock } from "../util/time.ts";

/** Items that all have the same time to live, so that one sleep serves them all, and none runs while there are none. */
export class Deadlines<T> {
  readonly #dueMs = new Map<T, number>();
  #armed = false;

  constructor(
    private readonly ms: number,
    private readonly clock: Clock,
    private readonly signal: AbortSignal,
    private readonly onDue: (item: T) => void,
  ) {}

  get size(): number {
    return this.#dueMs.size;
  }

  add(item: T): void {
    this.#dueMs.set(item, this.clock.monotonicMs() + this.ms);
    if (!this.#armed) this.#arm(this.ms);
  }

  /** False when it was not (any more) in. */
  delete(item: T): boolean {
    return this.#dueMs.delete(item);
  }

  #arm(ms: number): void {
    this.#armed = true;
    this.clock.sleep(ms, this.signal).then(
      () => this.#fire(),
      () => undefined, // the proxy was closed, and its connections with it
    );
  }

  #fire(): void {
    this.#armed = false;
    const now = this.clock.monotonicMs();
    // The map's order is that of the deadlines: all have the same length.
    for (const [item, due] of this.#dueMs) {
      if (due > now) {
        if (!this.#armed) this.#arm(due - now);
        return;
      }
      this.#dueMs.delete(item);
      this.onDue(item);
    }
  }
}
