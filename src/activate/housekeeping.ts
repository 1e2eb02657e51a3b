import { join } from "node:path";
import type { Cache } from "../cache/cache.ts";
import { currentKey } from "../cache/key.ts";
import { pruneLeases, pruneToSize } from "../cache/prune.ts";
import { messageOf } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import { artifactKey, type PlacedRelease, parseArtifactKey } from "../release/release.ts";
import { type Call, withDeadline } from "../util/async.ts";
import { writeFileAtomic } from "../util/fs.ts";
import type { Clock } from "../util/time.ts";
import type { PlacedReleases } from "./delivery.ts";
import { type ReleaseDirectory, toPrune } from "./release-dir.ts";

export interface HousekeepingDeps {
  readonly releases: ReleaseDirectory;
  /** This host's own: its artifacts go with their releases. */
  readonly cache: Cache;
  /** Other hosts' too; null: none. */
  readonly shared: Cache | null;
  /** Of the shared cache's artifacts together, else of the own one's; null: no limit. */
  readonly maxCacheBytes: number | null;
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

const pruneDeadlineMs = 60_000;
/** A lease that nobody renewed for so long is nobody's, whatever the clocks say. */
const leaseAgeMs = 24 * 3_600_000;

/** After a deploy: old releases and their artifacts go; answers those that are left. Never fails a deploy. */
export async function tidyUp(
  placed: PlacedReleases,
  keep: number,
  deps: HousekeepingDeps,
  c: Call,
): Promise<ReadonlySet<string>> {
  try {
    mirrorCurrent(placed.current, deps);
    pruneReleases(placed, keep, deps);
    await pruneCache(placed, deps, c);
  } catch (error) {
    c.signal.throwIfAborted();
    deps.log.warn("Old releases not removed", { error: messageOf(error) });
  }
  await keepWithinLimit(placed, deps, c);
  return new Set(Object.keys(placed.releases).filter((release) => deps.releases.has(release)));
}

/** `<cachedir>/current`, where people and the Go original look. */
export function mirrorCurrent(
  current: PlacedRelease | null,
  deps: Pick<HousekeepingDeps, "cacheDir" | "log">,
): void {
  if (current === null) return;
  try {
    writeFileAtomic(join(deps.cacheDir, currentKey), artifactKey(current.tag, current.artifact));
  } catch (error) {
    deps.log.warn("Current version not written to the cache", { error: messageOf(error) });
  }
}

function pruneReleases(
  { current, previous, left }: PlacedReleases,
  keep: number,
  deps: HousekeepingDeps,
): void {
  const { releases, log } = deps;
  const kept = [current?.release, previous?.release, left?.release, releases.active()];
  const protectedOnes = new Set(kept.filter((release) => typeof release === "string"));
  log.info(records.keepReleases, { count: keep });
  for (const release of toPrune(releases.list(), keep, protectedOnes)) releases.remove(release);
}

/** Artifacts of releases that are gone. */
async function pruneCache(placed: PlacedReleases, deps: HousekeepingDeps, c: Call): Promise<void> {
  const { cache, releases } = deps;
  const there = Object.entries(placed.releases).filter(([release]) => releases.has(release));
  const kept = there.map(([, { tag, artifact }]) => artifactKey(tag, artifact));
  if (placed.current !== null) kept.push(artifactKey(placed.current.tag, placed.current.artifact));
  for await (const { key } of cache.list("", c)) {
    if (parseArtifactKey(key) !== null && !kept.includes(key)) await cache.delete(key, c);
  }
}

/** `max-size=`: the oldest artifacts go, whichever host put them there; never what this one runs. */
async function keepWithinLimit({ current }: PlacedReleases, deps: HousekeepingDeps, c: Call): Promise<void> {
  const { cache, shared, maxCacheBytes, clock, log } = deps;
  const kept = new Set(current === null ? [] : [artifactKey(current.tag, current.artifact)]);
  const call = withDeadline(c, pruneDeadlineMs);
  try {
    if (shared !== null) await pruneLeases(shared, new Date(clock.now().getTime() - leaseAgeMs), call);
    if (maxCacheBytes === null) return;
    const removed = await pruneToSize(shared ?? cache, maxCacheBytes, kept, call);
    if (removed.length > 0) log.info("Old artifacts removed from the cache", { count: removed.length });
  } catch (error) {
    c.signal.throwIfAborted();
    log.warn("Old artifacts not removed from the cache", { error: messageOf(error) });
  }
}
