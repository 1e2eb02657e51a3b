import { mkdirSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { downloadArtifact } from "../artifact/download.ts";
import { archiveSuffixOf } from "../artifact/extract/extract.ts";
import { type ExpectedDigest, expectedDigests, verifyDigest } from "../artifact/verify.ts";
import type { Cache } from "../cache/cache.ts";
import { DewyError, toDewyError } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import { artifactKey, type DeployableRelease, type Digest, type PlacedRelease } from "../release/release.ts";
import type { ArtifactSource } from "../release/source.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { ownDeadlineMs, sharedDeadlineMs } from "./cache-deadlines.ts";
import type { Received } from "./delivery.ts";
import { type Arrived, downloadOnce, type Taken, type Wanted } from "./download-once.ts";

/** An artifact's checked bytes on this host's disk, until it is disposed of. */
export interface ObtainedArtifact extends Disposable {
  readonly path: string;
  readonly digest: Digest;
  readonly fromCache: boolean;
}

export interface ObtainDeps {
  /** This host's own. */
  readonly cache: Cache;
  /** Other hosts' too, of which one downloads for all; null: none. */
  readonly shared: Cache | null;
  readonly source: ArtifactSource;
  readonly clock: Clock;
  readonly log: Log;
  /** For work in progress, on the file system of the releases. */
  readonly tmpDir: string;
  readonly maxArtifactBytes: number;
  readonly onProgress?: Received;
}

/**
 * What lies in this host's own cache under this release's name is not to be had from it again. A cache that fails is
 * none. The shared one is the fleet's: it tells by its keys, or by what was published to check against, whether it fits.
 */
export async function forgetArtifact(
  { tag, artifact }: DeployableRelease,
  { cache }: Pick<ObtainDeps, "cache">,
  c: Call,
): Promise<void> {
  await cache.delete(artifactKey(tag, artifact.name), withDeadline(c, 10_000)).catch(() => undefined);
  c.signal.throwIfAborted();
}

/** A recorded release's bytes from this host's own cache, with nobody asked what they must be but the record; null: not there. */
export async function reviveArtifact(
  { tag, artifact, digest }: PlacedRelease,
  { cache, tmpDir, log }: Pick<ObtainDeps, "cache" | "tmpDir" | "log">,
  c: Call,
): Promise<ObtainedArtifact | null> {
  if (digest === null) return null;
  const key = artifactKey(tag, artifact);
  const path = freshPath(tmpDir, artifact);
  try {
    if ((await cache.fetchFile(key, path, withDeadline(c, ownDeadlineMs))) === digest) {
      return { path, digest, fromCache: true, [Symbol.dispose]: () => rmSync(path, { force: true }) };
    }
  } catch (error) {
    c.signal.throwIfAborted();
    const { message } = toDewyError(error, "read the cache");
    log.warn("Cache not usable; downloading the artifact", { cache_key: key, error: message });
  }
  rmSync(path, { force: true });
  return null;
}

/** The name keeps its suffix: it tells the archive's format. */
function freshPath(tmpDir: string, name: string): string {
  const path = join(tmpDir, `artifact${archiveSuffixOf(name)}`);
  mkdirSync(tmpDir, { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  return path;
}

/** What is wanted, and where it is to be put. */
interface Order {
  readonly release: DeployableRelease;
  readonly expected: readonly ExpectedDigest[];
  /** In this host's cache. */
  readonly key: string;
  /** In the shared one. */
  readonly sharedKey: string;
  readonly path: string;
}

const lookupDeadlineMs = 2 * 60_000;
/** A server that drips for ever must not hold the agent for ever. */
const downloadDeadlineMs = 4 * 3_600_000;

/**
 * From this host's cache, else from the shared one, else from the registry, and into those it was not in. What was
 * published to check against is asked first, and bytes that don't match it reach neither a cache nor a release. A
 * cache that fails is a miss.
 */
export async function obtainArtifact(
  release: DeployableRelease,
  deps: ObtainDeps,
  c: Call,
): Promise<ObtainedArtifact> {
  const { cache, source, tmpDir } = deps;
  const key = artifactKey(release.tag, release.artifact.name);
  const path = freshPath(tmpDir, release.artifact.name);
  const obtained = ({ digest, fromCache }: Arrived): ObtainedArtifact => ({
    path,
    digest,
    fromCache,
    [Symbol.dispose]: () => rmSync(path, { force: true }),
  });
  const expected = await expectedDigests(release, source, withDeadline(c, lookupDeadlineMs));
  const order = { release, expected, key, sharedKey: sharedKeyOf(release, expected.length > 0), path };
  const own = await take(cache, key, order, deps, c);
  if (own.kind === "hit") return obtained({ digest: own.digest, fromCache: true });
  const arrived = await arrive(order, deps, c);
  if (await put(cache, key, order, arrived.digest, deps, c))
    deps.log.info(records.cached, { cache_key: key });
  return obtained(arrived);
}

async function arrive(order: Order, deps: ObtainDeps, c: Call): Promise<Arrived> {
  const { shared } = deps;
  const { sizeBytes } = order.release.artifact;
  if (shared === null) return { digest: await download(order, deps, c), fromCache: false };
  const wanted: Wanted = {
    key: order.sharedKey,
    take: (call) => take(shared, order.sharedKey, order, deps, call),
    download: (call) => download(order, deps, call),
    share: (digest, call) => put(shared, order.sharedKey, order, digest, deps, call),
  };
  if (sizeBytes !== null && sizeBytes > shared.maxFileBytes) {
    // Nobody can have shared it, so there is nobody to wait for. The cache says why it does not keep it.
    const digest = await wanted.download(c);
    await wanted.share(digest, c);
    return { digest, fromCache: false };
  }
  return downloadOnce(wanted, { ...deps, shared, owner: hostname(), random: Math.random }, c);
}

async function download(order: Order, deps: ObtainDeps, c: Call): Promise<Digest> {
  const { release, expected, path } = order;
  const rules = { maxBytes: deps.maxArtifactBytes, expected };
  const call = withDeadline(c, downloadDeadlineMs);
  return (await downloadArtifact(deps.source, release.artifact, path, rules, deps, call)).digest;
}

/** Only what is not the published bytes is removed from a cache; one that can't be reached may hold good ones. */
async function take(cache: Cache, key: string, order: Order, deps: ObtainDeps, c: Call): Promise<Taken> {
  const { release, expected, path } = order;
  const { artifact } = release;
  try {
    const digest = await cache.fetchFile(
      key,
      path,
      withDeadline(c, deadlineMs(cache, artifact.sizeBytes, deps)),
    );
    if (digest === null) return { kind: "miss" };
    if (artifact.sizeBytes !== null && statSync(path).size !== artifact.sizeBytes) {
      throw new DewyError("digest-mismatch", `${artifact.name} was published again with another size`);
    }
    verifyDigest(artifact, digest, expected);
    return { kind: "hit", digest };
  } catch (error) {
    c.signal.throwIfAborted();
    rmSync(path, { force: true });
    const { code, message, hint } = toDewyError(error, "read the cache");
    if (code !== "digest-mismatch") {
      deps.log.warn("Cache not usable; downloading the artifact", { cache_key: key, error: message, hint });
      return { kind: "down" };
    }
    deps.log.warn("Cached artifact not usable; downloading it", { cache_key: key, error: message, hint });
    await cache.delete(key, withDeadline(c, lookupDeadlineMs)).catch(() => undefined);
    return { kind: "unfit" };
  }
}

/** false: it is not in the cache, which is no failure. */
async function put(
  cache: Cache,
  key: string,
  { path }: Order,
  digest: Digest,
  deps: ObtainDeps,
  c: Call,
): Promise<boolean> {
  try {
    const limitMs = deadlineMs(cache, statSync(path).size, deps);
    return await cache.putFile(key, { path, digest }, withDeadline(c, limitMs));
  } catch (error) {
    c.signal.throwIfAborted();
    const { message, hint } = toDewyError(error, "write the cache");
    deps.log.warn("Artifact not cached", { cache_key: key, error: message, hint });
    return false;
  }
}

function deadlineMs(cache: Cache, sizeBytes: number | null, { shared }: ObtainDeps): number {
  if (cache !== shared) return ownDeadlineMs;
  const { least, bytesPerMs, ofUnknownSize } = sharedDeadlineMs;
  return least + (sizeBytes === null ? ofUnknownSize : sizeBytes / bytesPerMs);
}

/**
 * Where nobody published what the bytes must be, the name alone would let one app take another's for its own, and a
 * tag published again its old bytes: such an artifact's key says where it comes from, too.
 */
function sharedKeyOf({ tag, artifact }: DeployableRelease, isVerifiable: boolean): string {
  const key = artifactKey(tag, artifact.name);
  if (isVerifiable) return key;
  const origin = JSON.stringify([artifact.url, artifact.revision]);
  return `${key}@${new Bun.CryptoHasher("sha256").update(origin).digest("hex").slice(0, 16)}`;
}
