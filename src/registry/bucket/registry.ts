import { DewyError, systemCode } from "../../errors.ts";
import type { Release } from "../../release/release.ts";
import type { SelectPolicy } from "../../release/select.ts";
import type { ArtifactSource } from "../../release/source.ts";
import { compareVersions, type ParsedVersion } from "../../release/version.ts";
import type { ObjectStore } from "../../store/store.ts";
import type { Call } from "../../util/async.ts";
import type { Latest, Registry } from "../registry.ts";
import { reportObject } from "../report.ts";
import { type ArtifactChoice, ReleaseReader } from "./release.ts";
import { TagSearch } from "./search.ts";
import { bucketSource } from "./source.ts";

interface BucketOptions extends ArtifactChoice {
  readonly policy: SelectPolicy;
}

export interface OpenBucket {
  /** Closes the store when it is disposed of. */
  readonly registry: Registry;
  readonly source: ArtifactSource;
}

/** Releases as `<version>/<file>` in a store: a directory, a bucket. */
export function openBucket(store: ObjectStore, options: BucketOptions): OpenBucket {
  const { policy, platform, artifact } = options;
  return {
    registry: new BucketRegistry(store, policy, { platform, artifact }),
    source: bucketSource(store),
  };
}

class BucketRegistry implements Registry {
  readonly #tags: TagSearch;
  readonly #releases: ReleaseReader;

  constructor(
    private readonly store: ObjectStore,
    policy: SelectPolicy,
    choice: ArtifactChoice,
  ) {
    this.#tags = new TagSearch(store, policy);
    this.#releases = new ReleaseReader(store, choice);
  }

  /** Tags that are no release any more are passed over, however many there are. */
  async latest(c: Call): Promise<Latest> {
    const others = new Map<string, ParsedVersion>();
    for (let below: ParsedVersion | null = null; ; ) {
      const { chosen, others: seen } = await this.#tags.newest(below, c);
      for (const version of seen) others.set(version.tag, version);
      for (const version of chosen) {
        const release = await this.#releases.read(version.tag, c);
        if (release !== null) return this.#latest(release, version, others, c);
      }
      const last = chosen.at(-1);
      if (last === undefined) return this.#latest(null, null, others, c);
      below = last;
    }
  }

  async #latest(
    release: Release | null,
    version: ParsedVersion | null,
    others: ReadonlyMap<string, ParsedVersion>,
    c: Call,
  ): Promise<Latest> {
    const newer = [...others.values()].filter(
      (other) => version === null || compareVersions(other, version) > 0,
    );
    for (const { tag } of newer.sort((a, b) => compareVersions(b, a))) {
      if (await this.#releases.exists(tag, c)) return { release, otherSlot: tag };
    }
    return { release, otherSlot: null };
  }

  find(tag: string, c: Call): Promise<Release | null> {
    return this.#releases.read(tag, c);
  }

  async report(record: Parameters<Registry["report"]>[0], c: Call): Promise<void> {
    const { name, body } = reportObject(record);
    try {
      if (!(await this.#releases.exists(record.tag, c))) {
        const text = `report ${record.tag}: it is gone from ${this.store.url}`;
        throw new DewyError("not-found", text, { retryable: false });
      }
      // One that is there already is this one: its name is made from the record.
      const key = `${record.tag}/${name}`;
      await this.store.put(key, new TextEncoder().encode(body), { ifVersion: null }, c);
    } catch (error) {
      c.signal.throwIfAborted();
      throw reportError(error);
    }
  }

  minIntervalMs(): number {
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
  }
}

const refusals: ReadonlySet<string | undefined> = new Set(["EACCES", "EPERM", "EROFS"]);

/** A place that dewy may only read is a fine registry. */
function reportError(error: unknown): unknown {
  if (!(error instanceof DewyError)) return error;
  if (error.code !== "unauthorized" && !refusals.has(systemCode(error.cause))) return error;
  return new DewyError("unauthorized", error.message, {
    cause: error,
    hint: "let dewy write there, or turn reports off with --no-report",
    retryable: false,
  });
}
