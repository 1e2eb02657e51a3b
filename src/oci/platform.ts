import { DewyError } from "../errors.ts";
import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import { type DistributionApi, parseAnswer } from "./api.ts";
import type { PlatformImage } from "./image-source.ts";
import { getBlob, getManifest, type Manifest, toDigest } from "./manifest.ts";
import { type IndexEntry, readImageConfig } from "./wire.ts";

const maxConfigBytes = 8 * 1024 * 1024;
/** An index may name indexes. */
const maxDepth = 3;

/**
 * What an image by tag or digest is on a platform (`os/arch[/variant]`). An index is followed to the platform's
 * own manifest; an image without one must have been built for the platform. `artifact-missing`: nothing fits.
 */
export async function resolveImage(
  api: DistributionApi,
  reference: string,
  platform: string,
  c: Call,
): Promise<PlatformImage> {
  let chosen = reference;
  let declared = false;
  for (let depth = 0; depth <= maxDepth; depth++) {
    const manifest = await existing(api, chosen, c);
    const { manifests } = manifest.content;
    if (manifests == null) return describe(api, manifest, declared ? null : platform, c);
    const entry = choose(manifests, platform);
    const digest = toDigest(entry?.digest ?? null);
    if (entry === null || digest === null) throw missing(api, reference, platform, offered(manifests));
    chosen = digest;
    declared = entry.platform != null;
  }
  throw new DewyError("bad-answer", `${named(api, reference)}: indexes within indexes without end`);
}

async function existing(api: DistributionApi, reference: string, c: Call): Promise<Manifest> {
  const manifest = await getManifest(api, reference, c);
  if (manifest !== null) return manifest;
  throw new DewyError("not-found", `${named(api, reference)} is not in the registry (any more)`);
}

/** `check`: the platform the configuration must name; null: the index said so already. */
async function describe(
  api: DistributionApi,
  { digest, content }: Manifest,
  check: string | null,
  c: Call,
): Promise<PlatformImage> {
  const configDigest = toDigest(content.config?.digest ?? null);
  const sizes = (content.layers ?? []).map((layer) => layer.size);
  const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
  if (configDigest === null || !Number.isSafeInteger(sizeBytes) || sizes.some((size) => size < 0)) {
    throw new DewyError("bad-answer", `${named(api, digest)}: the manifest makes no sense`);
  }
  if (check !== null) await checkConfig(api, digest, configDigest, check, c);
  return { digest, configDigest, sizeBytes };
}

async function checkConfig(
  api: DistributionApi,
  digest: Digest,
  configDigest: Digest,
  platform: string,
  c: Call,
): Promise<void> {
  const { answer, doing } = await getBlob(api, configDigest, maxConfigBytes, c);
  const { os, architecture, variant } = parseAnswer(answer, doing, readImageConfig);
  // Images made without a platform in mind (docker import) name none.
  if (!os || !architecture) return;
  const built = { os, architecture, variant };
  if (rank(built, platform) === null) throw missing(api, digest, platform, [textOf(built)]);
}

type WirePlatform = NonNullable<IndexEntry["platform"]>;

/** The entry that fits best; one that names no platform only if it is the only one. */
export function choose(entries: readonly IndexEntry[], platform: string): IndexEntry | null {
  const ranked = images(entries)
    .map((entry) => ({ entry, rank: entry.platform == null ? null : rank(entry.platform, platform) }))
    .filter((each) => each.rank !== null)
    .sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
  const [only, ...others] = images(entries);
  const anonymous = only !== undefined && others.length === 0 && only.platform == null ? only : null;
  return ranked[0]?.entry ?? anonymous;
}

/** How well an image's platform fits: 0 best; null: not at all. */
function rank(image: WirePlatform, wanted: string): number | null {
  const [os, architecture = "", variant = ""] = wanted.split("/");
  if (image.os !== os || image.architecture !== architecture) return null;
  const at = variantsFor(architecture, variant).indexOf(image.variant ?? "");
  return at < 0 ? null : at;
}

/** Those a machine can run, the best first. The usual variant of an architecture may be left out. */
function variantsFor(architecture: string, variant: string): readonly string[] {
  if (architecture === "arm64") return variant === "" || variant === "v8" ? ["v8", ""] : [variant, "v8", ""];
  if (architecture === "amd64") return variant === "" || variant === "v1" ? ["", "v1"] : [variant, "", "v1"];
  if (architecture === "arm") {
    const all = ["v8", "v7", "v6", "v5"];
    return [...all.slice(Math.max(0, all.indexOf(variant === "" ? "v7" : variant))), ""];
  }
  return variant === "" ? [""] : [variant, ""];
}

/** Build attestations stand among the images, for a platform called unknown. */
function images(entries: readonly IndexEntry[]): IndexEntry[] {
  return entries.filter(
    ({ platform, annotations }) =>
      platform?.os !== "unknown" && annotations?.["vnd.docker.reference.type"] === undefined,
  );
}

function offered(entries: readonly IndexEntry[]): string[] {
  const named = images(entries).map(({ platform }) => (platform == null ? "unnamed" : textOf(platform)));
  return [...new Set(named)].slice(0, 20);
}

function textOf({ os, architecture, variant }: WirePlatform): string {
  return [os, architecture, variant].filter((part) => part != null && part !== "").join("/");
}

function missing(
  api: DistributionApi,
  reference: string,
  platform: string,
  others: readonly string[],
): DewyError {
  const has = others.length === 0 ? "none" : others.join(", ");
  return new DewyError("artifact-missing", `${named(api, reference)} is not for ${platform} but for ${has}`, {
    hint: `push the image for ${platform} too, or name a platform with --platform`,
    retryable: false,
  });
}

function named(api: DistributionApi, reference: string): string {
  const { host, name } = api.repository;
  return `${host}/${name}${reference.includes(":") ? "@" : ":"}${reference}`;
}
