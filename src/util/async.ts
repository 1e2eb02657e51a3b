import type { Clock } from "./time.ts";

/** What every effect takes: when `signal` aborts, it stops and rejects with the signal's reason. */
export interface Call {
  readonly signal: AbortSignal;
}

/** A call that also ends after `ms`, whatever the caller does. */
export function withDeadline(c: Call, ms: number): Call {
  return { signal: AbortSignal.any([c.signal, AbortSignal.timeout(ms)]) };
}

/** Runs tasks one after the other, in the order they came. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** Waits until `ready` answers something other than undefined; rejects when the signal aborts. */
export async function pollUntil<T>(
  ready: () => T | undefined | Promise<T | undefined>,
  everyMs: number,
  clock: Clock,
  c: Call,
): Promise<T> {
  for (;;) {
    const value = await ready();
    if (value !== undefined) return value;
    await clock.sleep(everyMs, c.signal);
  }
}

/** Rejects as soon as the signal aborts, even if `work` never settles. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // Whatever it comes to, nobody waits for it any more.
    work.catch(() => undefined);
    return Promise.reject(signal.reason);
  }
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", onAbort));
}
