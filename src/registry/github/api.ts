import { DewyError } from "../../errors.ts";
import type { HttpClient, HttpRequest, JsonAnswer, JsonRequest } from "../../http/client.ts";
import type { Call } from "../../util/async.ts";
import type { GithubAuth } from "./auth.ts";

interface ApiDeps {
  readonly http: HttpClient;
  readonly auth: GithubAuth;
  readonly apiUrl: string;
  readonly owner: string;
  readonly repo: string;
}

/** One repository's REST API. Adds the credentials, and only to requests for hosts they belong to. */
export class GithubApi {
  constructor(private readonly deps: ApiDeps) {}

  /** The URL of something below the repository: `/releases/1`. */
  url(path: string): string {
    const { apiUrl, owner, repo } = this.deps;
    return `${apiUrl}/repos/${owner}/${repo}${path}`;
  }

  isOwn(url: URL): boolean {
    return url.origin === new URL(this.deps.apiUrl).origin;
  }

  async getJson<T>(
    url: string,
    request: Pick<JsonRequest<T>, "doing" | "read">,
    c: Call,
  ): Promise<JsonAnswer<T>> {
    return this.authorized({ ...request, url }, c, (full) =>
      this.deps.http.getJson({ ...full, read: request.read }, c),
    );
  }

  /** Runs `send` with the credentials added; refuses to for a URL they do not belong to. */
  async authorized<T>(
    request: HttpRequest,
    c: Call,
    send: (request: HttpRequest, http: HttpClient) => Promise<T>,
  ): Promise<T> {
    const url = new URL(request.url);
    if (!this.isOwn(url) && !this.#isUploadHost(url)) {
      throw new DewyError(
        "bad-answer",
        `${request.doing}: ${url.host} is not GitHub's host, no credentials for it`,
        { retryable: false },
      );
    }
    const authorization = await this.deps.auth.authorization(c);
    const headers = {
      Accept: "application/vnd.github+json",
      "X-GitHub-Api-Version": "2022-11-28",
      ...request.headers,
      ...(authorization === null ? {} : { Authorization: authorization }),
    };
    try {
      return await send({ ...request, headers }, this.deps.http);
    } catch (error) {
      if (!(error instanceof DewyError)) throw error;
      if (error.code === "unauthorized") this.deps.auth.refused();
      throw withRemedy(error, authorization !== null);
    }
  }

  /** github.com and *.ghe.com take uploads at `uploads.` beside `api.`; Enterprise Server on its own host. */
  #isUploadHost(url: URL): boolean {
    const api = new URL(this.deps.apiUrl);
    const domain = /^api\.(github\.com|[a-z0-9-]+\.ghe\.com)$/.exec(api.hostname)?.[1];
    return domain !== undefined && url.origin === `https://uploads.${domain}`;
  }
}

function withRemedy(error: DewyError, hasCredentials: boolean): DewyError {
  const remedy = remedyFor(error, hasCredentials);
  if (remedy === null || error.hint !== undefined) return error;
  const { code, message, retryable, retryAfterMs, cause } = error;
  return new DewyError(code, message, { hint: remedy, retryable, retryAfterMs, cause });
}

function remedyFor({ code }: DewyError, hasCredentials: boolean): string | null {
  if (code === "unauthorized") {
    return hasCredentials
      ? "check GH_TOKEN or the GitHub App: it may be wrong, expired, or without contents:read"
      : "set GH_TOKEN, or a GitHub App with contents:read";
  }
  if (code !== "rate-limited") return null;
  return hasCredentials
    ? "dewy asks again when GitHub allows it; hosts can share the answers by registry-ttl="
    : "dewy asks again when GitHub allows it; set GH_TOKEN for more calls";
}
