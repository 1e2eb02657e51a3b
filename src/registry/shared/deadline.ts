import { DewyError } from "../../errors.ts";
import { abortable, type Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";

/** Work that ends after `ms` by this clock with `network-timeout`, even if it does not heed its signal. */
export async function within<T>(
  limit: { readonly ms: number; readonly doing: string; readonly clock: Clock },
  work: (c: Call) => Promise<T>,
  c: Call,
): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  const giveUp = () =>
    late.abort(new DewyError("network-timeout", `${limit.doing}: no answer before the deadline`));
  void limit.clock.sleep(Math.max(0, limit.ms), done.signal).then(giveUp, () => undefined);
  const signal = AbortSignal.any([c.signal, late.signal]);
  try {
    signal.throwIfAborted();
    const working = work({ signal });
    // Of work that is no longer waited for nobody else hears.
    working.catch(() => undefined);
    return await abortable(working, signal);
  } finally {
    done.abort();
  }
}
