import { messageOf } from "../../errors.ts";
import { records } from "../../events.ts";
import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { ContainerRuntime, Image } from "../runtime.ts";

export interface ImageClean {
  /** `host/name` */
  readonly repository: string;
  /** How many images of it stay, those that were never deployed here included. */
  readonly keep: number;
  /** Of the kept releases, newest deployment first; null: one whose image can't be told. */
  readonly keptDigests: readonly (string | null)[];
}

/** One name of an image that is to go; its layers go with the last of its names. */
export interface UnneededImage {
  readonly id: string;
  readonly references: readonly string[];
}

/**
 * Which images of the repository are not needed: neither of a kept release, nor, while there are fewer of those than
 * `keep`, among the youngest of the others. Only the names in this repository go: an image that has others stays.
 */
export function unneededImages(images: readonly Image[], clean: ImageClean): readonly UnneededImage[] {
  const digests = new Set(clean.keptDigests);
  const isKept = ({ id, digests: named }: Image) =>
    digests.has(id) || named.some((name) => digests.has(name.split("@")[1] ?? ""));
  const others = images
    .filter((image) => !isKept(image))
    .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
  const room = Math.max(0, clean.keep - (images.length - others.length));
  return others
    .slice(room)
    .map((image) => ({ id: image.id, references: namesIn(image, clean.repository) }))
    .filter(({ references }) => references.length > 0);
}

/** Its tags before its digest: some engines drop the digest with the last tag, none the other way round. */
function namesIn({ tags, digests }: Image, repository: string): string[] {
  return [
    ...tags.filter((tag) => tag.slice(0, tag.lastIndexOf(":")) === repository),
    ...digests.filter((digest) => digest.split("@")[0] === repository),
  ];
}

/** Removes what is not needed, by name and never by force: what a container uses stays. Never fails a deploy. */
export async function cleanImages(
  runtime: Pick<ContainerRuntime, "images" | "removeImage">,
  clean: ImageClean,
  log: Log,
  c: Call,
): Promise<void> {
  log.info(records.keepImages, { count: clean.keep });
  const failures: string[] = [];
  try {
    for (const image of unneededImages(await runtime.images(clean.repository, c), clean)) {
      try {
        await removeNames(image, runtime, log, c);
      } catch (error) {
        c.signal.throwIfAborted();
        failures.push(messageOf(error));
      }
    }
  } catch (error) {
    c.signal.throwIfAborted();
    failures.push(messageOf(error));
  }
  if (failures.length > 0) log.warn("Old images not removed", { count: failures.length, error: failures[0] });
}

async function removeNames(
  { id, references }: UnneededImage,
  runtime: Pick<ContainerRuntime, "removeImage">,
  log: Log,
  c: Call,
): Promise<void> {
  for (const reference of references) {
    const result = await runtime.removeImage(reference, c);
    if (result === "in-use") log.debug("Image kept: a container uses it", { id, tag: reference });
    if (result === "in-use") return;
    if (result === "removed") log.info(records.imageRemoving, { id, tag: reference });
  }
}
