import { DewyError } from "../errors.ts";
import type { HttpClient } from "../http/client.ts";
import type { Log } from "../log.ts";
import { DistributionApi } from "../oci/api.ts";
import { Authorizer } from "../oci/authorizer.ts";
import type { Environment } from "../oci/credential.ts";
import { CredentialStore } from "../oci/credentials.ts";
import type { ImageSource } from "../oci/image-source.ts";
import { headDigest } from "../oci/manifest.ts";
import { resolveImage } from "../oci/platform.ts";
import { isTag, parseRepository, type Repository } from "../oci/reference.ts";
import { TagList } from "../oci/tags.ts";
import type { Platform } from "../release/platform.ts";
import type { Digest, Release } from "../release/release.ts";
import { type SelectPolicy, selectTag } from "../release/select.ts";
import type { VersionScheme } from "../release/version.ts";
import type { Call } from "../util/async.ts";
import { flag, readQuery, text } from "../util/query.ts";
import type { Clock } from "../util/time.ts";
import type { Latest, Registry } from "./registry.ts";
import { type HostSelection, selectPolicy } from "./selection.ts";

export interface OciOptions {
  readonly repository: Repository;
  readonly follow:
    | { readonly kind: "versions"; readonly policy: SelectPolicy }
    | { readonly kind: "tag"; readonly tag: string };
}

export interface OciDeps {
  readonly platform: Platform;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly log: Log;
  /** For credentials: `DOCKER_CONFIG`, `HOME`, `PATH`, `GITHUB_TOKEN`, `DOCKER_USERNAME`, … */
  readonly env: Environment;
}

/** Tags that are listed though their manifest is deleted are passed over; not for ever. */
const maxMissing = 20;

/**
 * `img://host/name?pre-release=&constraint=&calver=` for versions, or `?tag=NAME` for one tag that comes to mean other
 * images; both with `insecure=`. `docker://` is the same. Anything else is `config-invalid`.
 */
export function parseOciUrl(url: URL, host: HostSelection): OciOptions {
  if (url.searchParams.has("artifact")) {
    throw invalid(
      "an image has no artifacts to choose from",
      "leave out artifact=; tag=NAME follows one tag",
    );
  }
  // Before the query, whose errors name the URL's host.
  const secure = parseRepository(url, null);
  const query = readQuery(url, {
    "pre-release": flag,
    constraint: text,
    calver: text,
    tag: tagName,
    insecure: flag,
  });
  const { insecure, tag, constraint, calver } = query;
  const repository = insecure === null ? secure : parseRepository(url, insecure);
  if (tag === null) {
    const selection = { artifact: null, preRelease: query["pre-release"] ?? false, constraint, calver };
    return { repository, follow: { kind: "versions", policy: selectPolicy(selection, host) } };
  }
  const others = {
    "constraint=": constraint,
    "pre-release=": query["pre-release"],
    "calver=": calver,
    "--slot": host.slot,
    "--calver": host.calver,
  };
  const given = Object.entries(others).flatMap(([name, value]) => (value === null ? [] : [name]));
  if (given.length > 0) {
    throw invalid(
      `tag= and ${given.join(", ")} exclude each other`,
      "tag= follows one tag, whatever it means; the others choose among versions",
    );
  }
  return { repository, follow: { kind: "tag", tag } };
}

/** A repository's tags as a registry, and what an engine needs to pull its images. */
export function openOciRegistry(
  options: OciOptions,
  deps: OciDeps,
): { readonly registry: Registry; readonly images: ImageSource } {
  const { repository } = options;
  const credentials = new CredentialStore(repository, deps);
  const authorizer = new Authorizer(repository, { ...deps, credentials });
  const api = new DistributionApi(repository, { ...deps, authorizer });
  // Containers are Linux, whatever the host is.
  const own = `linux/${deps.platform.arch}`;
  return {
    registry: new OciRegistry(options, deps, api),
    images: {
      repository: `${repository.host}/${repository.name}`,
      credentials: async (c) => (await credentials.find(c))?.login ?? null,
      resolve: (reference, platform, c) => resolveImage(api, reference, platform ?? own, c),
    },
  };
}

class OciRegistry implements Registry {
  readonly #tags: TagList;
  readonly #passedOver = new Set<string>();

  constructor(
    private readonly options: OciOptions,
    private readonly deps: OciDeps,
    private readonly api: DistributionApi,
  ) {
    this.#tags = new TagList(api);
  }

  async latest(c: Call): Promise<Latest> {
    const { follow } = this.options;
    if (follow.kind === "versions") return this.#newest(follow.policy, c);
    const digest = await headDigest(this.api, follow.tag, c);
    if (digest !== null) return { release: this.#release(follow.tag, follow.tag, digest), otherSlot: null };
    throw new DewyError("not-found", `${this.#image(follow.tag)}: no such tag, or no right to see it`, {
      hint: "check the name and tag=; the tag is followed as soon as it is there",
    });
  }

  async find(tag: string, c: Call): Promise<Release | null> {
    const wireTag = tag.replaceAll("+", "_");
    if (!isTag(wireTag)) return null;
    const digest = await headDigest(this.api, wireTag, c);
    return digest === null ? null : this.#release(tag, wireTag, digest);
  }

  /** There is no place for a report in an image registry. */
  async report(): Promise<void> {}

  minIntervalMs(): number {
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /**
   * Each poll looks up the chosen tag's digest anew, so that a version published again is noticed. A tag without
   * a manifest was deleted since it was listed, or is listed on by a careless registry: the next one counts.
   */
  async #newest(policy: SelectPolicy, c: Call): Promise<Latest> {
    const listed = await this.#tags.read(c);
    const byVersion = new Map(listed.map((wireTag) => [versionIn(wireTag, policy.scheme), wireTag]));
    for (let missing = 0; missing < maxMissing; missing++) {
      const { tag, otherSlot } = selectTag([...byVersion.keys()], policy);
      const wireTag = tag === null ? undefined : byVersion.get(tag);
      if (tag === null || wireTag === undefined) return { release: null, otherSlot };
      const digest = await headDigest(this.api, wireTag, c);
      if (digest !== null) return { release: this.#release(tag, wireTag, digest), otherSlot };
      this.#passOver(wireTag);
      byVersion.delete(tag);
    }
    throw new DewyError("not-found", `${this.#image(null)}: the newest ${maxMissing} tags name no image`, {
      hint: "the registry lists tags that it has deleted: clean it up",
    });
  }

  #passOver(wireTag: string): void {
    if (this.#passedOver.has(wireTag)) return;
    this.#passedOver.add(wireTag);
    this.deps.log.warn("Tag without an image passed over", { image: this.#image(wireTag) });
  }

  #release(tag: string, wireTag: string, digest: Digest): Release {
    const { follow } = this.options;
    const name = this.#image(wireTag);
    const artifact = { name, url: `img://${name}`, sizeBytes: null, digest, revision: digest };
    const moving = follow.kind === "tag" && follow.tag === tag;
    return { tag, ...(moving ? { moving } : {}), createdAt: null, artifact, files: [artifact] };
  }

  #image(wireTag: string | null): string {
    const { host, name } = this.options.repository;
    return `${host}/${name}${wireTag === null ? "" : `:${wireTag}`}`;
  }
}

/** Tags have no `+`, so `_` stands for it; but a CalVer format may have `_` of its own. */
function versionIn(wireTag: string, scheme: VersionScheme): string {
  return scheme.parse(wireTag) === null ? wireTag.replace(/_(?=[^_]*$)/, "+") : wireTag;
}

function tagName(value: string): string {
  if (isTag(value)) return value;
  throw new Error(`is "${value}", which can be no tag: letters, digits and . _ - are allowed`);
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
