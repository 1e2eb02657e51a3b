import type { Clock } from "../../src/util/time.ts";

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
}

/** Time that passes only by `advance()`. */
export class FakeClock implements Clock {
  #elapsedMs = 0;
  readonly #startMs: number;
  readonly #sleepers = new Set<Sleeper>();
  readonly #watchers = new Set<() => void>();

  constructor(start = new Date("2026-11-21T09:36:46.000Z")) {
    this.#startMs = start.getTime();
  }

  /** How many `sleep()` calls have not ended. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  now(): Date {
    return new Date(this.#startMs + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { untilMs: this.#elapsedMs + ms, wake: resolve };
    const onAbort = () => {
      this.#sleepers.delete(sleeper);
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#sleepers.add(sleeper);
    for (const watcher of this.#watchers) watcher();
    return promise.finally(() => signal.removeEventListener("abort", onAbort));
  }

  /** Lets time pass: wakes sleepers in the order of their time, each with what it does next, new sleeps included. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    for (;;) {
      await settled();
      const next = [...this.#sleepers].sort((a, b) => a.untilMs - b.untilMs)[0];
      if (next === undefined || next.untilMs > endMs) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.untilMs);
      this.#sleepers.delete(next);
      next.wake();
    }
    this.#elapsedMs = endMs;
    await settled();
  }

  /** Resolves as soon as at least `count` sleeps are under way. */
  async whenSleeping(count: number): Promise<void> {
    while (this.#sleepers.size < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#watchers.add(resolve);
      await promise;
      this.#watchers.delete(resolve);
    }
  }
}

/**
 * Pauses shorter than `belowMs` (back-off) end at once and move the time on; longer sleeps (deadlines) never end
 * by themselves.
 */
export class SkippingClock extends FakeClock {
  /** What was asked of `sleep`, skipped pauses only. */
  readonly pausesMs: number[] = [];

  constructor(private readonly belowMs = 20_000) {
    super();
  }

  override async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (ms >= this.belowMs) return super.sleep(ms, signal);
    signal.throwIfAborted();
    this.pausesMs.push(ms);
    await this.advance(ms);
  }
}

/**
 * Lets everything happen that needs no I/O. By microtasks, as `setImmediate` may take a second under `bun test`
 * (1.4.5) once a connection was reset.
 */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
}
