import type { DeployRecord, Release } from "../release/release.ts";
import type { Call } from "../util/async.ts";

export interface Latest {
  /** null: nothing the policy admits. */
  readonly release: Release | null;
  /** A newer tag passed over only because it belongs to another slot. */
  readonly otherSlot: string | null;
  /** Of an answer that the hosts of a fleet share; without it the registry gave it just now. */
  readonly shared?: SharedOrigin;
}

/** Where a shared answer comes from: nothing of it is in the shared cache. */
export interface SharedOrigin {
  /** When the registry gave it, by this host's clock. */
  readonly asOf: Date;
  /** The last try at the registry failed since: whoever hears this has not heard from the registry. */
  readonly isStale: boolean;
  /** Why that try failed. */
  readonly failure?: string;
  /** The registry is asked once in this time, for all hosts. */
  readonly windowMs: number;
}

/** Tells which releases exist. Every implementation passes test/registry/contract.ts. */
export interface Registry extends AsyncDisposable {
  /** The newest release that the host's policy admits. */
  latest(c: Call): Promise<Latest>;
  /** One release by its tag, for rollback and pin, whatever the policy says; null when there is none. */
  find(tag: string, c: Call): Promise<Release | null>;
  /** Idempotent by `record.id`. A failure never undoes a deploy. */
  report(record: DeployRecord, c: Call): Promise<void>;
  /** The least time between two polls that keeps within the registry's limits; 0 when any will do. */
  minIntervalMs(): number;
}
