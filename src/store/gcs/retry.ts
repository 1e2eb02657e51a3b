import { toDewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { Patience } from "../patience.ts";

const retries = 2;

/**
 * A read that a cut or a 5xx ended is tried again, soon and twice. Not a write: the first one may have been done, and
 * its writer would take the second one's refusal for a lost race.
 */
export async function patiently<T>(work: () => Promise<T>, doing: string, clock: Clock, c: Call): Promise<T> {
  const patience = new Patience({ clock, maxFailures: retries });
  for (;;) {
    try {
      return await work();
    } catch (error) {
      c.signal.throwIfAborted();
      const failure = toDewyError(error, doing);
      // The governor's, or too long to wait for again.
      if (failure.code === "rate-limited" || failure.code === "network-timeout") throw failure;
      await patience.after(failure, c);
    }
  }
}
