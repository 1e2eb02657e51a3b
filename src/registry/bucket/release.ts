import { chooseArtifact, type Platform } from "../../release/platform.ts";
import type { Digest, Release, ReleaseFile } from "../../release/release.ts";
import { checkKey, urlOfKey } from "../../store/key.ts";
import type { ObjectEntry, ObjectStore, Version } from "../../store/store.ts";
import type { Call } from "../../util/async.ts";
import { isReportName } from "../report.ts";

export interface ArtifactChoice {
  readonly platform: Platform;
  /** The artifact's exact name; null: chosen by platform. */
  readonly artifact: string | null;
}

interface Published extends ReleaseFile {
  readonly key: string;
  readonly revision: Version;
  readonly updatedAt: Date;
}

/** Digests of so many artifacts are remembered: the newest release's, and a few for pins and rollbacks. */
const remembered = 8;

/** Reads releases: the objects under `<tag>/`. */
export class ReleaseReader {
  readonly #digests = new Map<string, { version: Version; digest: Digest | null }>();

  constructor(
    private readonly store: ObjectStore,
    private readonly choice: ArtifactChoice,
  ) {}

  /** null: nothing is published under this tag. Reports alone, of a release that was deleted, make none. */
  async read(tag: string, c: Call): Promise<Release | null> {
    const published = await Array.fromAsync(this.#published(tag, c));
    if (published.length === 0) return null;
    const createdMs = Math.min(...published.map(({ updatedAt }) => updatedAt.getTime()));
    const files = published.map(fileOf);
    const chosen = chooseArtifact(files, this.choice.platform, this.choice.artifact);
    const at = chosen === null ? -1 : files.indexOf(chosen);
    const listed = published[at];
    if (listed === undefined) return { tag, createdAt: new Date(createdMs), artifact: null, files };
    const artifact = { ...fileOf(listed), digest: await this.#digestOf(listed, c) };
    return { tag, createdAt: new Date(createdMs), artifact, files: files.with(at, artifact) };
  }

  async exists(tag: string, c: Call): Promise<boolean> {
    for await (const _ of this.#published(tag, c)) return true;
    return false;
  }

  async *#published(tag: string, c: Call): AsyncGenerator<Published> {
    if (!isTag(tag)) return;
    for await (const entry of this.store.list(`${tag}/`, { delimiter: "/" }, c)) {
      const name = entry.key.slice(tag.length + 1);
      if (entry.kind === "object" && isPublished(name)) yield publishedFile(this.store.url, name, entry);
    }
  }

  /** Asked for again only when the object is another one. */
  async #digestOf({ key, revision }: Published, c: Call): Promise<Digest | null> {
    const known = this.#digests.get(key);
    if (known?.version === revision) return known.digest;
    const found = await this.store.head(key, c);
    // Replaced since it was listed: the next poll sees both together.
    if (found?.version !== revision) return null;
    this.#digests.delete(key);
    this.#digests.set(key, { version: revision, digest: found.digest });
    const oldest = this.#digests.keys().next().value;
    if (this.#digests.size > remembered && oldest !== undefined) this.#digests.delete(oldest);
    return found.digest;
  }
}

/** Of one part, as the layout has it; hidden ones are work in progress. */
function isTag(tag: string): boolean {
  if (tag.includes("/") || tag.startsWith(".")) return false;
  try {
    return checkKey(tag) === tag;
  } catch {
    return false;
  }
}

/** Consoles mark a folder by an object without a name. */
function isPublished(name: string): boolean {
  return name !== "" && !name.startsWith(".") && !isReportName(name);
}

function publishedFile(
  storeUrl: string,
  name: string,
  { key, sizeBytes, version, updatedAt }: Extract<ObjectEntry, { kind: "object" }>,
): Published {
  const url = urlOfKey(storeUrl, key);
  return { name, url, sizeBytes, digest: null, revision: version, key, updatedAt };
}

function fileOf({ name, url, sizeBytes, digest, revision }: Published): ReleaseFile {
  return { name, url, sizeBytes, digest, revision };
}
