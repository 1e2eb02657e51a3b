import { DewyError } from "../errors.ts";
import { describeExit } from "../process/process.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Generation } from "./generation.ts";

/** What ends both at once, such as a host that is out of memory, ends one of them first. */
const togetherMs = 250;

/**
 * Does what is given up when what serves ends: clients wait for it, and it can only be started again once this is over.
 * Once that is no fault of the new version's, as far as anybody can tell. `when`: `while the new version was rehearsed`.
 */
export async function whileServing<T>(
  serving: Generation,
  when: string,
  run: (c: Call) => Promise<T>,
  clock: Clock,
  c: Call,
): Promise<T> {
  const over = new AbortController();
  void serving.exited.then((exit) =>
    over.abort(
      new DewyError("serving-ended", `the server that runs ${describeExit(exit)} ${when}`, {
        hint: "it is started again, and the new version is tried again later",
      }),
    ),
  );
  try {
    return await run({ signal: AbortSignal.any([c.signal, over.signal]) });
  } catch (error) {
    // A new version that still runs answers clients, perhaps badly: only where it has ended there is time.
    if (error instanceof DewyError && error.code === "start-failed") {
      await Promise.race([clock.sleep(togetherMs, c.signal), serving.exited]);
    }
    if (!c.signal.aborted) over.signal.throwIfAborted();
    throw error;
  }
}
