import type { Call } from "../../util/async.ts";

/** What hosts share: small values with an atomic swap. Every cache is one. */
export interface SharedMemory {
  /** The largest body compareAndSwap takes. */
  readonly maxValueBytes: number;
  get(key: string, c: Call): Promise<{ body: Uint8Array; version: string } | null>;
  /** Writes if the stored version is `expected` (null: if there is none). Of many at once exactly one wins; the losers get null. */
  compareAndSwap(key: string, body: Uint8Array, expected: string | null, c: Call): Promise<string | null>;
}
