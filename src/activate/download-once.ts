import type { Cache } from "../cache/cache.ts";
import { leaseKeyOf } from "../cache/key.ts";
import { type Lease, LeaseWatch } from "../cache/lease.ts";
import { messageOf } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";

/** What came of looking for an artifact in a cache. */
export type Taken =
  | { readonly kind: "hit"; readonly digest: Digest }
  | { readonly kind: "miss" }
  /** Bytes that are not the published ones; they are gone from the cache. */
  | { readonly kind: "unfit" }
  /** The cache does not answer. */
  | { readonly kind: "down" };

/** An artifact on its way to this host. */
export interface Wanted {
  readonly key: string;
  /** From the shared cache, checked. */
  take(c: Call): Promise<Taken>;
  /** From the registry, checked. */
  download(c: Call): Promise<Digest>;
  /** Into the shared cache. false: it is not there now, be it too large for it or the cache down. */
  share(digest: Digest, c: Call): Promise<boolean>;
}

export interface OnceDeps {
  readonly shared: Cache;
  /** This host, for others to read. */
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ value < 1 */
  readonly random: () => number;
}

export interface Arrived {
  readonly digest: Digest;
  readonly fromCache: boolean;
}

const leaseMs = 30_000;
const pollMs = { least: 1000, spread: 1000 } as const;
/** Whoever downloads for longer than this, for us it takes too long. Less than a download may take. */
const patienceMs = { least: 30 * 60_000, spread: 10 * 60_000 } as const;
/** After so many that gave up it is not the holders' fault; then the hosts try spread over a while. */
const maxHolders = 3;
const ownTrySpreadMs = 30_000;

/**
 * Of all hosts that want an artifact one downloads it from the registry and the others take it from the cache that
 * they share. A holder that died or gave up is followed by one of those who wait. A host helps itself when the cache
 * fails, when what is in it is not what was published, when the bytes can't be shared, and when it waited long enough.
 */
export async function downloadOnce(wanted: Wanted, deps: OnceDeps, c: Call): Promise<Arrived> {
  const first = await wanted.take(c);
  if (first.kind === "hit") return { digest: first.digest, fromCache: true };
  const turn = first.kind === "down" ? "alone" : await waitForTurn(wanted, deps, c);
  if (turn === "alone") return { digest: await wanted.download(c), fromCache: false };
  if (turn.kind === "taken") return { digest: turn.digest, fromCache: true };
  await using lease = turn.lease;
  // The holder before may have finished between our last look and now.
  const again = await wanted.take(c);
  if (again.kind === "hit") {
    await lease.end("done");
    return { digest: again.digest, fromCache: true };
  }
  const digest = await wanted.download(c);
  // A cache that failed a moment ago is not waited for again.
  const shared = again.kind !== "down" && (await wanted.share(digest, c));
  await lease.end(shared ? "done" : "unshared");
  return { digest, fromCache: false };
}

type Turn =
  | { readonly kind: "lease"; readonly lease: Lease }
  | { readonly kind: "taken"; readonly digest: Digest }
  | "alone";

async function waitForTurn(wanted: Wanted, deps: OnceDeps, c: Call): Promise<Turn> {
  const { clock, random } = deps;
  const watch = new LeaseWatch(
    deps.shared,
    { key: leaseKeyOf(wanted.key), owner: deps.owner, ttlMs: leaseMs },
    deps,
  );
  const untilMs = clock.monotonicMs() + patienceMs.least + patienceMs.spread * random();
  const holders = new Set<string>();
  while (clock.monotonicMs() < untilMs) {
    const found = await seekLease(watch, holders, wanted.key, deps, c);
    if (found === "alone" || found !== null) return found;
    const exhausted = holders.size > maxHolders;
    const pauseMs = exhausted ? ownTrySpreadMs * random() : pollMs.least + pollMs.spread * random();
    await clock.sleep(pauseMs, c.signal);
    const taken = await wanted.take(c);
    if (taken.kind === "hit") return { kind: "taken", digest: taken.digest };
    if (taken.kind !== "miss" || exhausted) return "alone";
  }
  return "alone";
}

/** null: another host has it. */
async function seekLease(
  watch: LeaseWatch,
  holders: Set<string>,
  key: string,
  { log }: OnceDeps,
  c: Call,
): Promise<Turn | null> {
  try {
    const state = await watch.look(c);
    if (state.kind === "held") {
      if (holders.size === 0) {
        log.info(records.waitingForDownload, { cache_key: key, host: state.owner });
      }
      holders.add(state.id);
    } else if (state.last?.outcome === "unshared" && holders.has(state.last.id)) return "alone";
    if (state.kind === "held" && !state.dead) return null;
    const lease = await watch.take(state, c);
    return lease && { kind: "lease", lease };
  } catch (error) {
    c.signal.throwIfAborted();
    log.warn("Shared cache failed; downloading without waiting for other hosts", { error: messageOf(error) });
    return "alone";
  }
}
