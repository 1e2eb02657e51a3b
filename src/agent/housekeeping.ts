import { join } from "node:path";
import { type ReleaseDirectory, toPrune } from "../activate/release-dir.ts";
import type { Cache } from "../cache/cache.ts";
import { currentKey } from "../cache/key.ts";
import { messageOf } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import { artifactKey, parseArtifactKey } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import { writeFileAtomic } from "../util/fs.ts";
import type { StateFile } from "./state.ts";

interface HousekeepingDeps {
  readonly releases: ReleaseDirectory;
  readonly state: StateFile;
  readonly cache: Cache;
  /** Whether the cache is this host's alone, so that its artifacts go with their releases. */
  readonly ownsCache: boolean;
  readonly cacheDir: string;
  readonly keep: number;
  readonly log: Log;
}

/** After a deploy: old releases and their artifacts go. Nothing here can fail a deploy. */
export async function tidyUp(deps: HousekeepingDeps, c: Call): Promise<void> {
  try {
    mirrorCurrent(deps);
    pruneReleases(deps);
    if (deps.ownsCache) await pruneCache(deps, c);
  } catch (error) {
    c.signal.throwIfAborted();
    deps.log.warn("Old releases not removed", { error: messageOf(error) });
  }
}

/** `<cachedir>/current`, where people and the Go original look. */
export function mirrorCurrent(deps: Pick<HousekeepingDeps, "state" | "cacheDir" | "log">): void {
  const { current } = deps.state.state;
  if (current === null) return;
  try {
    writeFileAtomic(join(deps.cacheDir, currentKey), artifactKey(current.tag, current.artifact));
  } catch (error) {
    deps.log.warn("Current version not written to the cache", { error: messageOf(error) });
  }
}

function pruneReleases({ releases, state, keep, log }: HousekeepingDeps): void {
  const { current, previous } = state.state;
  const kept = [current?.release, previous?.release, releases.active()];
  const protectedOnes = new Set(kept.filter((release) => typeof release === "string"));
  const old = toPrune(releases.list(), keep, protectedOnes);
  log.info(records.keepReleases, { count: keep });
  if (old.length === 0) return;
  for (const release of old) releases.remove(release);
  const left = Object.entries(state.state.releases).filter(([release]) => releases.has(release));
  state.update({ releases: Object.fromEntries(left) });
}

/** Artifacts of releases that are gone. */
async function pruneCache({ state, cache }: HousekeepingDeps, c: Call): Promise<void> {
  const kept = Object.values(state.state.releases).map(({ tag, artifact }) => artifactKey(tag, artifact));
  const current = state.state.current;
  if (current !== null) kept.push(artifactKey(current.tag, current.artifact));
  for await (const key of cache.list("", c)) {
    if (parseArtifactKey(key) !== null && !kept.includes(key)) await cache.delete(key, c);
  }
}
