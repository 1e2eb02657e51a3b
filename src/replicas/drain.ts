import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Rotation } from "./rotation.ts";

/** Resolves when these replicas have no connection left, or after `limitMs`; rejects when `c` aborts. */
export async function drain(
  ids: readonly string[],
  limitMs: number,
  deps: { readonly rotation: Rotation; readonly clock: Clock },
  c: Call,
): Promise<void> {
  c.signal.throwIfAborted();
  if (limitMs === 0) return;
  const over = new AbortController();
  const signal = AbortSignal.any([c.signal, over.signal]);
  const drained = Promise.all(ids.map((id) => deps.rotation.drained(id, { signal })));
  const late = deps.clock.sleep(limitMs, signal);
  try {
    await Promise.race([drained, late]);
  } finally {
    over.abort();
    await Promise.allSettled([drained, late]);
  }
}
