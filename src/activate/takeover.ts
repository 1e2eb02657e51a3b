import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { digestOfFile } from "../artifact/digest.ts";
import { currentKey, fileNameOf } from "../cache/key.ts";
import type { Log } from "../log.ts";
import { type PlacedRelease, parseArtifactKey } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import type { ReleaseDirectory } from "./release-dir.ts";
import { releaseTime } from "./release-name.ts";

/**
 * What the Go original left running here: `current` leads to a release and the cache's `current` key names its
 * tag and artifact. null when there is nothing, or the two don't belong together: the original writes the key
 * when it downloads, so a crash before the extraction leaves a key that is ahead of the release.
 */
export async function placedByOriginal(
  releases: ReleaseDirectory,
  cacheDir: string,
  log: Log,
  c: Call,
): Promise<PlacedRelease | null> {
  const release = releases.active();
  if (release === null) return null;
  const key = readKey(join(cacheDir, currentKey));
  const named = key === null ? null : parseArtifactKey(key);
  if (key === null || named === null) {
    log.warn("Release found, but not its version; the newest is deployed", {
      path: releases.pathOf(release),
    });
    return null;
  }
  const artifact = join(cacheDir, fileNameOf(key));
  if (existsSync(artifact) && releaseTime(release).getTime() + 1000 <= statSync(artifact).mtimeMs) {
    log.warn("The recorded version was never put in place; it is deployed again", { cache_key: key });
    return null;
  }
  const digest = existsSync(artifact) ? await digestOfFile(artifact, c) : null;
  log.info("Took over the running version", { tag: named.tag, path: releases.pathOf(release) });
  return {
    tag: named.tag,
    digest,
    artifact: named.fileName,
    release,
    since: releaseTime(release).toISOString(),
  };
}

function readKey(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null; // the original has not been here
  }
}
