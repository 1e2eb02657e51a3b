import type { Address } from "../util/address.ts";
import type { Call } from "../util/async.ts";

/** For each proxied port where a replica serves it; the addresses are tried in their order. */
export type ReplicaAddresses = ReadonlyMap<number, readonly Address[]>;

/** What a rolling update asks of the proxy; test/proxy/rotation.test.ts compares it with src/replicas. */
export interface ReplicaRotation {
  /** Gives it new connections; one that is in already, or was retired, is in with these addresses. */
  admit(replica: string, addresses: ReplicaAddresses): void;
  /** No new connections; those it has, attempts under way included, go on. */
  retire(replica: string): void;
  /** Resolves when a replica has no connection left. */
  drained(replica: string, c: Call): Promise<void>;
  /** Takes it out, cuts what it has left and forgets it; answers how many connections were cut. */
  drop(replica: string): number;
  /** Open ones, and attempts under way. */
  connections(replica: string): number;
  /** Those that get new connections. */
  readonly members: readonly string[];
}
