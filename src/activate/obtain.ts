import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { digestOfFile } from "../artifact/digest.ts";
import { downloadArtifact } from "../artifact/download.ts";
import { archiveSuffixOf } from "../artifact/extract/extract.ts";
import { type ExpectedDigest, expectedDigests, verifyDigest } from "../artifact/verify.ts";
import type { Cache } from "../cache/cache.ts";
import { DewyError } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import { artifactKey, type DeployableRelease, type Digest } from "../release/release.ts";
import type { ArtifactSource } from "../release/source.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";

/** An artifact's checked bytes on this host's disk, until it is disposed of. */
export interface ObtainedArtifact extends Disposable {
  readonly path: string;
  readonly digest: Digest;
  readonly fromCache: boolean;
}

export interface ObtainDeps {
  readonly cache: Cache;
  readonly source: ArtifactSource;
  readonly clock: Clock;
  readonly log: Log;
  /** For work in progress, on the file system of the releases. */
  readonly tmpDir: string;
  readonly maxArtifactBytes: number;
}

const lookupDeadlineMs = 2 * 60_000;
/** A server that drips for ever must not hold the agent for ever. */
const downloadDeadlineMs = 4 * 3_600_000;

/**
 * From the cache, else from the registry into the cache. What was published to check against is asked first, and
 * bytes that don't match it reach neither the cache nor a release. A cache that fails is a miss.
 */
export async function obtainArtifact(
  release: DeployableRelease,
  deps: ObtainDeps,
  c: Call,
): Promise<ObtainedArtifact> {
  const key = artifactKey(release.tag, release.artifact.name);
  // The name keeps its suffix: it tells the archive's format.
  const path = join(deps.tmpDir, `artifact${archiveSuffixOf(release.artifact.name)}`);
  mkdirSync(deps.tmpDir, { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const obtained = (digest: Digest, fromCache: boolean): ObtainedArtifact => ({
    path,
    digest,
    fromCache,
    [Symbol.dispose]: () => rmSync(path, { force: true }),
  });
  const expected = await expectedDigests(release, deps.source, withDeadline(c, lookupDeadlineMs));
  const cached = await fromCache(key, path, { release, expected }, deps, c);
  if (cached !== null) return obtained(cached, true);
  const rules = { maxBytes: deps.maxArtifactBytes, expected };
  const download = withDeadline(c, downloadDeadlineMs);
  const { digest } = await downloadArtifact(deps.source, release.artifact, path, rules, deps, download);
  await intoCache(key, path, deps, c);
  return obtained(digest, false);
}

/** The digest of the cached bytes; null when there are none, or not the published ones: those are dropped. */
async function fromCache(
  key: string,
  path: string,
  wanted: { release: DeployableRelease; expected: readonly ExpectedDigest[] },
  { cache, log }: ObtainDeps,
  c: Call,
): Promise<Digest | null> {
  try {
    if (!(await cache.fetchFile(key, path, c))) return null;
    const { artifact } = wanted.release;
    if (artifact.sizeBytes !== null && statSync(path).size !== artifact.sizeBytes) {
      throw new DewyError("digest-mismatch", `${artifact.name} was published again with another size`);
    }
    const digest = await digestOfFile(path, c);
    verifyDigest(artifact, digest, wanted.expected);
    return digest;
  } catch (error) {
    c.signal.throwIfAborted();
    rmSync(path, { force: true });
    log.warn("Cached artifact not usable; downloading it", { cache_key: key, error: reasonOf(error) });
    await cache.delete(key, c).catch(() => undefined);
    return null;
  }
}

async function intoCache(key: string, path: string, { cache, log }: ObtainDeps, c: Call): Promise<void> {
  try {
    await cache.putFile(key, path, c);
    log.info(records.cached, { cache_key: key });
  } catch (error) {
    c.signal.throwIfAborted();
    log.warn("Artifact not cached", { cache_key: key, error: reasonOf(error) });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof DewyError ? error.message : String(error);
}
