import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";

/** One record for each entry that a cache found damaged or half-written, and dropped. */
export function logDamaged(log: Log, key: string, error: unknown): void {
  log.warn("Cached artifact damaged; dropped", { cache_key: key, error: messageOf(error) });
}
