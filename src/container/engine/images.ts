import type { Call } from "../../util/async.ts";
import type { Image } from "../runtime.ts";
import type { EngineApi } from "./api.ts";
import { fullReferences, hasCheck, toImage } from "./domain.ts";
import { refused } from "./failure.ts";
import { fullRepository, repositoryIn } from "./names.ts";
import { readImage, readLibpodImage, readListedImages } from "./wire.ts";

const removeMs = 120_000;

export async function findImage(api: EngineApi, reference: string, c: Call): Promise<Image | null> {
  const doing = `looking for image ${reference}`;
  const answer = await api.json({ path: `${at(reference)}/json`, doing }, readAs(toImage, readImage), c);
  if (answer.ok) return withPodmanCheck(api, answer.value, c);
  if (answer.refusal.status === 404) return null;
  throw refused("other", doing, answer.refusal);
}

/** Podman's compatible answer leaves HEALTHCHECK out, its own has it. */
async function withPodmanCheck(api: EngineApi, image: Image, c: Call): Promise<Image | null> {
  const { name } = await api.engine(c);
  if (name === "docker" || image.hasHealthcheck) return image;
  const doing = `looking for the health check of image ${image.id}`;
  const path = `/libpod${at(image.id)}/json`;
  const answer = await api.json({ path, doing }, readAs(hasCheck, readLibpodImage), c);
  if (answer.ok) return { ...image, hasHealthcheck: answer.value };
  if (answer.refusal.status === 404) return null;
  throw refused("other", doing, answer.refusal);
}

export async function listImages(api: EngineApi, repository: string, c: Call): Promise<readonly Image[]> {
  const doing = `listing the images of ${repository}`;
  // No `reference` filter: Docker's knows its hub's images by their short names only, Podman's by their long ones.
  const listed = await api.json({ path: "/images/json", doing }, readListedImages, c);
  if (!listed.ok) throw refused("other", doing, listed.refusal);
  const wanted = fullRepository(repository);
  const ids = listed.value
    .filter(({ RepoTags, RepoDigests }) =>
      [...fullReferences(RepoTags), ...fullReferences(RepoDigests)].some(
        (name) => repositoryIn(name) === wanted,
      ),
    )
    .map(({ Id }) => Id);
  const images = await Promise.all([...new Set(ids)].map((id) => findImage(api, id, c)));
  // One that was removed in between is none.
  return images.filter((image) => image !== null);
}

export async function removeImage(
  api: EngineApi,
  reference: string,
  c: Call,
): Promise<"removed" | "in-use" | "absent"> {
  const doing = `removing image ${reference}`;
  const refusal = await api.command(
    { method: "DELETE", path: at(reference), doing, limit: { kind: "whole", ms: removeMs } },
    c,
  );
  if (refusal === null) return "removed";
  if (refusal.status === 404) return "absent";
  if (refusal.status === 409) return "in-use";
  throw refused("other", doing, refusal);
}

/** The engines want the slashes of a name as they are. */
function at(reference: string): string {
  return `/images/${reference.split("/").map(encodeURIComponent).join("/")}`;
}

function readAs<Wire, T>(convert: (wire: Wire) => T, read: (json: unknown) => Wire): (json: unknown) => T {
  return (json) => convert(read(json));
}
