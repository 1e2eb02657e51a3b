import { DewyError } from "../../errors.ts";
import { openRanged } from "../../http/range.ts";
import type { ReleaseFile } from "../../release/release.ts";
import type { ArtifactBody, ArtifactSource, ResumePoint } from "../../release/source.ts";
import type { Call } from "../../util/async.ts";
import type { GithubApi } from "./api.ts";
import { assetIdOf, readRelease } from "./wire.ts";

/** `ghr://owner/repo/tag/<tag>/<file>` */
interface AssetAddress {
  readonly tag: string;
  readonly fileName: string;
}

interface AssetDeps {
  readonly api: GithubApi;
  readonly owner: string;
  readonly repo: string;
}

/**
 * Opens release assets through the API, which also works for private repositories. The API redirects to a
 * storage host; the credentials stay behind (http/redirect.ts).
 */
export class GithubAssets implements ArtifactSource {
  constructor(private readonly deps: AssetDeps) {}

  async open(file: ReleaseFile, resume: ResumePoint | null, c: Call): Promise<ArtifactBody> {
    const address = this.#parse(file.url);
    const id = assetIdOf(file) ?? (await this.#lookUp(address, c));
    const request = {
      url: this.deps.api.url(`/releases/assets/${id}`),
      headers: { Accept: "application/octet-stream" },
      doing: `fetch ${address.fileName} of ${address.tag}`,
    };
    try {
      return await this.deps.api.authorized(request, c, (full, http) => openRanged(http, full, resume, c));
    } catch (error) {
      throw error instanceof DewyError && error.code === "not-found" ? missing(address) : error;
    }
  }

  #parse(url: string): AssetAddress {
    const { owner, repo } = this.deps;
    const match = /^ghr:\/\/([^/]+)\/([^/]+)\/tag\/([^/]+)\/([^/]+)$/.exec(url);
    const own = `${match?.[1]}/${match?.[2]}`.toLowerCase() === `${owner}/${repo}`.toLowerCase();
    if (!own || match?.[3] === undefined || match[4] === undefined) {
      throw new DewyError("artifact-missing", `${url} is no artifact of ghr://${owner}/${repo}`);
    }
    return { tag: decodeURIComponent(match[3]), fileName: decodeURIComponent(match[4]) };
  }

  /** For addresses that were kept from an earlier run. */
  async #lookUp(address: AssetAddress, c: Call): Promise<number> {
    const url = this.deps.api.url(`/releases/tags/${encodeURIComponent(address.tag)}`);
    try {
      const request = { doing: `find release ${address.tag}`, read: readRelease };
      const { value } = await this.deps.api.getJson(url, request, c);
      const asset = value.assets.find(({ name }) => name === address.fileName);
      if (asset !== undefined) return asset.id;
    } catch (error) {
      if (!(error instanceof DewyError && error.code === "not-found")) throw error;
    }
    throw missing(address);
  }
}

function missing({ tag, fileName }: AssetAddress): DewyError {
  return new DewyError("artifact-missing", `release ${tag} has no ${fileName} any more`);
}
