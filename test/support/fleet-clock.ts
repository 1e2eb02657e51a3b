import { abortable } from "../../src/util/async.ts";
import type { Clock } from "../../src/util/time.ts";

interface Sleeper {
  readonly untilMs: number;
  readonly wake: () => void;
  gone: boolean;
}

/** FakeClock for thousands of sleepers: a heap, and so few turns between two of them that a fleet's hour takes seconds. */
export class FleetClock implements Clock {
  #elapsedMs = 0;
  readonly #heap: Sleeper[] = [];
  readonly #startMs = Date.parse("2026-11-21T09:36:46.000Z");

  now(): Date {
    return new Date(this.#startMs + this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => {
      sleeper.gone = true;
      reject(signal.reason);
    };
    const wake = () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    };
    const sleeper = { untilMs: this.#elapsedMs + Math.max(0, ms), wake, gone: false };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#push(sleeper);
    return promise;
  }

  /** Lets time pass, sleeper by sleeper. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    await settled();
    for (let next = this.#pop(endMs); next !== null; next = this.#pop(endMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, next.untilMs);
      next.wake();
      await settled();
    }
    this.#elapsedMs = endMs;
  }

  /** The same time as a host sees it whose clock is wrong, and whose monotonic clock began elsewhere. */
  skewedBy(skewMs: number): Clock {
    return {
      now: () => new Date(this.now().getTime() + skewMs),
      monotonicMs: () => this.monotonicMs() + Math.abs(skewMs) + 1_000_000,
      sleep: (ms, signal) => this.sleep(ms, signal),
    };
  }

  #push(sleeper: Sleeper): void {
    const heap = this.#heap;
    let at = heap.push(sleeper) - 1;
    for (let up = (at - 1) >> 1; at > 0 && before(sleeper, heap[up]); up = (at - 1) >> 1) {
      this.#swap(at, up);
      at = up;
    }
  }

  /** The next that is due by `untilMs`. */
  #pop(untilMs: number): Sleeper | null {
    const heap = this.#heap;
    for (;;) {
      const first = heap[0];
      if (first === undefined || (!first.gone && first.untilMs > untilMs)) return null;
      const last = heap.pop();
      if (last !== undefined && heap.length > 0) {
        heap[0] = last;
        this.#sink();
      }
      if (!first.gone) return first;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const sleeper = heap[child];
        if (sleeper !== undefined && before(sleeper, heap[least])) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(one: number, other: number): void {
    const [a, b] = [this.#heap[one], this.#heap[other]];
    if (a === undefined || b === undefined) return;
    this.#heap[one] = b;
    this.#heap[other] = a;
  }
}

function before(one: Sleeper, other: Sleeper | undefined): boolean {
  return other !== undefined && one.untilMs < other.untilMs;
}

/** What follows a wake-up without I/O: a tick of an agent, with its reads and swaps. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 150; turn++) await Promise.resolve();
}

/** Real time, faster: for real servers under intervals of minutes. */
export function fasterClock(factor: number): Clock {
  return {
    now: () => new Date(Date.now() * factor),
    monotonicMs: () => performance.now() * factor,
    async sleep(ms, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, Math.max(0, ms) / factor);
      try {
        await abortable(promise, signal);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
