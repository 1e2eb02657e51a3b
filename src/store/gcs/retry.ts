import type { ErrorCode } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { persist } from "../../util/patience.ts";
import type { Clock } from "../../util/time.ts";

const maxFailures = 2;
/** Not a limit, which is the governor's, nor a silence, which is too long to wait for again. */
const codes: ReadonlySet<ErrorCode> = new Set(["network-unreachable", "http-status"]);

/**
 * A read that a cut or a 5xx ended is tried again, soon and twice. Not a write: the first one may have been done, and
 * its writer would take the second one's refusal for a lost race.
 */
export function patiently<T>(work: () => Promise<T>, doing: string, clock: Clock, c: Call): Promise<T> {
  return persist(work, doing, { clock, maxFailures, codes }, c);
}
