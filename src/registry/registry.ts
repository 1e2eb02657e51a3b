import type { DeployRecord, Release } from "../release/release.ts";
import type { Call } from "../util/async.ts";

export interface Latest {
  /** null: nothing the policy admits. */
  readonly release: Release | null;
  /** A newer tag passed over only because it belongs to another slot. */
  readonly otherSlot: string | null;
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
