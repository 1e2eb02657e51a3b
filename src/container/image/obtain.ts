import { DewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { Log } from "../../log.ts";
import type { ImageSource } from "../../oci/image-source.ts";
import type { DeployableRelease, Digest } from "../../release/release.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import type { ContainerRuntime, Image, PullProgress } from "../runtime.ts";

interface PullDeps {
  readonly images: ImageSource;
  readonly runtime: ContainerRuntime;
  /** `--platform`; null: the engine's. */
  readonly platform: string | null;
  readonly log: Log;
  /** Told of the bytes that have come; nobody knows of how many. */
  readonly onProgress?: (bytes: number, totalBytes: null) => void;
}

const credentialsDeadlineMs = 60_000;
/** An image that drips for ever must not hold the agent for ever. */
const pullDeadlineMs = 4 * 3_600_000;

/**
 * The release's image on this host, pulled where it is not here yet. What is pulled must be what the registry
 * offered: a tag that was moved in between is `bad-answer`, and tried again.
 */
export async function obtainImage(
  release: DeployableRelease,
  deps: PullDeps,
  c: Call,
): Promise<{ image: Image; fetched: boolean }> {
  const { name, digest } = release.artifact;
  const here = digest === null ? null : await localImage(digest, deps, c);
  if (here !== null) return { image: here, fetched: false };
  const { log } = deps;
  log.info(records.pulling, { image: name });
  log.debug(records.pullingImage, { image: name });
  try {
    const image = await pull(release, deps, c);
    log.info(records.pulled, { image: name, digest: digest ?? digestOf(image) });
    return { image, fetched: true };
  } catch (error) {
    c.signal.throwIfAborted();
    log.error(records.pullFailed, {
      error: error instanceof Error ? error.message : String(error),
      image: name,
    });
    throw error;
  }
}

/** By the digest the registry has for it; null: not on this host, or only from elsewhere. */
export async function localImage(
  digest: Digest,
  { images, runtime }: Pick<PullDeps, "images" | "runtime">,
  c: Call,
): Promise<Image | null> {
  const reference = `${images.repository}@${digest}`;
  const image = await runtime.image(reference, c);
  // Podman finds it by the digest alone, whoever it was pulled from.
  return image?.digests.includes(reference) === true ? image : null;
}

/** As the registry names the image; for one that says nothing, its id. */
export function digestOf(image: Image): Digest {
  const named = image.digests[0]?.split("@")[1];
  return (named ?? image.id) as Digest;
}

/** The log has each change, whoever asks for more each sign of life. */
function pullProgress(image: string, { log, onProgress }: PullDeps): (progress: PullProgress) => void {
  let before = "";
  return ({ layers, layersDone, bytes }) => {
    onProgress?.(bytes, null);
    const now = `${layersDone}/${layers}`;
    if (now === before || layers === 0) return;
    before = now;
    log.debug("Image pull progress", { image, layers, layers_done: layersDone });
  };
}

async function pull(release: DeployableRelease, deps: PullDeps, c: Call): Promise<Image> {
  const { images, runtime, platform } = deps;
  const { name, digest } = release.artifact;
  const { repository } = images;
  const credentials = await images.credentials(withDeadline(c, credentialsDeadlineMs));
  const image = await runtime.pull(
    {
      repository,
      tag: name.slice(repository.length + 1),
      platform,
      credentials,
      onProgress: pullProgress(name, deps),
    },
    withDeadline(c, pullDeadlineMs),
  );
  if (digest === null || image.digests.some((known) => known.endsWith(`@${digest}`))) return image;
  // An engine may know an image of an index only by the digest of its own platform.
  const resolved = await images.resolve(digest, platform, withDeadline(c, credentialsDeadlineMs));
  const same = image.digests.some((known) => known.endsWith(`@${resolved.digest}`));
  if (same || image.id === resolved.configDigest) return image;
  throw new DewyError("bad-answer", `${name} was moved to another image while it was pulled`, {
    hint: "dewy tries again by itself",
  });
}
