import { parseArtifactKey } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import type { Cache, CacheEntry } from "./cache.ts";
import { isLeaseKey, leasePrefix } from "./key.ts";

/**
 * Removes the oldest artifacts until those left have at most `maxBytes` together; answers the removed keys. What
 * `kept` names stays, and so does whatever is no artifact.
 */
export async function pruneToSize(
  cache: Cache,
  maxBytes: number,
  kept: ReadonlySet<string>,
  c: Call,
): Promise<string[]> {
  const entries = await Array.fromAsync(cache.list("", c));
  const surplus = surplusOf(
    entries.filter(({ key }) => parseArtifactKey(key) !== null && !isLeaseKey(key)),
    maxBytes,
    kept,
  );
  for (const { key } of surplus) await cache.delete(key, c);
  return surplus.map(({ key }) => key);
}

function surplusOf(
  artifacts: readonly CacheEntry[],
  maxBytes: number,
  kept: ReadonlySet<string>,
): CacheEntry[] {
  let held = artifacts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const oldestFirst = artifacts
    .filter(({ key }) => !isKept(key, kept))
    .toSorted((one, other) => one.updatedAt.getTime() - other.updatedAt.getTime());
  return oldestFirst.filter(({ sizeBytes }) => {
    if (held <= maxBytes) return false;
    held -= sizeBytes;
    return true;
  });
}

/** A key may say after an `@` where its artifact comes from. */
function isKept(key: string, kept: ReadonlySet<string>): boolean {
  return kept.has(key) || [...kept].some((each) => key.startsWith(`${each}@`));
}

/** Removes what hosts that died or gave up left of their leases. */
export async function pruneLeases(cache: Cache, olderThan: Date, c: Call): Promise<void> {
  for await (const { key, updatedAt } of cache.list(leasePrefix, c)) {
    if (updatedAt < olderThan) await cache.delete(key, c);
  }
}
