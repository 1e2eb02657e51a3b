import { parseArtifactKey } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import type { Cache, CacheEntry } from "./cache.ts";
import { isLeaseKey } from "./key.ts";

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
    .filter(({ key }) => !kept.has(key))
    .toSorted((one, other) => one.updatedAt.getTime() - other.updatedAt.getTime());
  return oldestFirst.filter(({ sizeBytes }) => {
    if (held <= maxBytes) return false;
    held -= sizeBytes;
    return true;
  });
}
