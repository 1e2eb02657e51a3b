import { DewyError } from "../../errors.ts";
import { readText } from "../../http/body.ts";
import type { HttpClient } from "../../http/client.ts";
import { duration, type Log } from "../../log.ts";
import { chooseArtifact, type Platform } from "../../release/platform.ts";
import type { DeployRecord, Release } from "../../release/release.ts";
import { type SelectPolicy, selectTag } from "../../release/select.ts";
import type { ArtifactSource } from "../../release/source.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Latest, Registry } from "../registry.ts";
import { reportObject } from "../report.ts";
import { GithubApi } from "./api.ts";
import { GithubAssets } from "./assets.ts";
import { githubAuth } from "./auth.ts";
import type { GithubEnvironment } from "./environment.ts";
import { ReleaseListing } from "./listing.ts";
import type { GithubOptions } from "./url.ts";
import { readRelease, saysAlreadyExists, toReleaseFile, type WireRelease } from "./wire.ts";

export interface GithubDeps {
  readonly policy: SelectPolicy;
  readonly platform: Platform;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly environment: GithubEnvironment;
}

/** GitHub's limit without a token, unless its answers name another. */
const anonymousHourlyLimit = 60;
/** Kept free of each hour's calls for downloads. */
const downloadReserve = 10;
const hourMs = 3_600_000;
const fullPassMs = 10 * 60_000;

/** A repository's releases as a registry, and its assets as a source of artifacts. */
export function openGithub(
  options: GithubOptions,
  deps: GithubDeps,
): { readonly registry: Registry; readonly source: ArtifactSource } {
  const { http, clock, environment } = deps;
  const { owner, repo } = options;
  const { apiUrl, credentials } = environment;
  const api = new GithubApi({
    http,
    apiUrl,
    owner,
    repo,
    auth: githubAuth(credentials, { http, clock, apiUrl }),
  });
  return {
    registry: new GithubRegistry(options, deps, api),
    source: new GithubAssets({ api, owner, repo }),
  };
}

class GithubRegistry implements Registry {
  readonly #listing: ReleaseListing;
  readonly #anonymous: boolean;
  readonly #wanted: string | null;
  #last: { readonly releases: readonly WireRelease[]; readonly latest: Latest } | null = null;
  #warned = false;
  #polled = false;

  constructor(
    private readonly options: GithubOptions,
    private readonly deps: GithubDeps,
    private readonly api: GithubApi,
  ) {
    this.#anonymous = deps.environment.credentials.kind === "none";
    this.#wanted = options.artifact ?? deps.environment.artifact;
    this.#listing = new ReleaseListing({
      api,
      clock: deps.clock,
      fullPassMs: this.#anonymous ? hourMs : fullPassMs,
    });
  }

  async latest(c: Call): Promise<Latest> {
    const releases = await this.#list(c);
    if (this.#last?.releases !== releases) this.#last = { releases, latest: this.#select(releases) };
    return this.#last.latest;
  }

  async find(tag: string, c: Call): Promise<Release | null> {
    const release = await this.#get(tag, c);
    return release === null || release.draft ? null : this.#toRelease(release);
  }

  async report(record: DeployRecord, c: Call): Promise<void> {
    const release = await this.#get(record.tag, c);
    const doing = `report ${record.tag}`;
    if (release === null) throw new DewyError("not-found", `${doing}: the release is gone`);
    const { name, body } = reportObject(record);
    const url = `${release.upload_url.replace(/\{.*$/, "")}?name=${encodeURIComponent(name)}`;
    const headers = { "Content-Type": "text/plain; charset=utf-8" };
    const request = { url, method: "POST", headers, body, doing, accept: [422] } as const;
    try {
      const answer = await this.api.authorized(request, c, (full, http) => http.request(full, c));
      const text = await readText(answer.body, 1024 * 1024, doing);
      // The same record, reported before.
      if (answer.status === 422 && !saysAlreadyExists(text)) {
        throw new DewyError("http-status", `${doing}: GitHub refused the report (422)`, { retryable: false });
      }
    } catch (error) {
      throw refusal(error, doing);
    }
  }

  /**
   * Without credentials every call counts, a 304 too: an hour's calls, less a reserve for downloads and one pass
   * over all pages, are spread over the hour. Servers that name no limit (Enterprise) may be asked at any time.
   */
  minIntervalMs(): number {
    const limit = this.#listing.hourlyLimit ?? (this.#polled ? null : anonymousHourlyLimit);
    if (!this.#anonymous || limit === null) return 0;
    const callsPerPoll = this.#listing.pageOf(this.#last?.latest.release?.tag ?? null) > 0 ? 2 : 1;
    const polls = Math.floor((limit - downloadReserve - this.#listing.pageCount) / callsPerPoll);
    return Math.ceil(hourMs / Math.max(1, polls));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #list(c: Call): Promise<readonly WireRelease[]> {
    const { owner, repo } = this.options;
    try {
      const releases = await this.#listing.read(this.#last?.latest.release?.tag ?? null, c);
      this.#polled = true;
      this.#warnOfLimit();
      return releases;
    } catch (error) {
      if (!(error instanceof DewyError) || error.code !== "not-found") throw error;
      throw new DewyError("not-found", `ghr://${owner}/${repo}: no such repository, or no right to see it`, {
        hint: "check the name; a private repository needs GH_TOKEN or a GitHub App with contents:read",
      });
    }
  }

  #warnOfLimit(): void {
    const interval = this.minIntervalMs();
    if (this.#warned || interval === 0) return;
    this.#warned = true;
    this.deps.log.warn("GitHub polled without a token", {
      interval: duration(interval),
      hint: "set GH_TOKEN to poll more often",
    });
  }

  #select(releases: readonly WireRelease[]): Latest {
    const { policy } = this.deps;
    const admitted = releases.filter(
      (release) => !release.draft && (policy.preRelease || !release.prerelease),
    );
    const byTag = new Map(admitted.map((release) => [release.tag_name, release]));
    const { tag, otherSlot } = selectTag([...byTag.keys()], policy);
    const chosen = tag === null ? undefined : byTag.get(tag);
    return { release: chosen === undefined ? null : this.#toRelease(chosen), otherSlot };
  }

  /** null: no release has the tag (or the repository can't be seen). */
  async #get(tag: string, c: Call): Promise<WireRelease | null> {
    try {
      const request = { doing: `find release ${tag}`, read: readRelease };
      const url = this.api.url(`/releases/tags/${encodeURIComponent(tag)}`);
      return (await this.api.getJson(url, request, c)).value;
    } catch (error) {
      if (error instanceof DewyError && error.code === "not-found") return null;
      throw error;
    }
  }

  #toRelease(wire: WireRelease): Release {
    const { owner, repo } = this.options;
    const files = wire.assets.map((asset) => toReleaseFile(asset, owner, repo, wire.tag_name));
    return {
      tag: wire.tag_name,
      createdAt: new Date(wire.published_at ?? wire.created_at),
      artifact: chooseArtifact(files, this.deps.platform, this.#wanted),
      files,
    };
  }
}

/** GitHub answers 403, or 404 for what it hides, when the credentials may read but not write. */
function refusal(error: unknown, doing: string): unknown {
  if (!(error instanceof DewyError) || (error.code !== "unauthorized" && error.code !== "not-found"))
    return error;
  return new DewyError("unauthorized", `${doing}: the credentials may not add a file to the release`, {
    cause: error,
    hint: "give the token contents:write, or turn reports off with --no-report",
  });
}
