import { createVerify } from "node:crypto";
import { FlakyServer } from "./flaky-server.ts";
import { assetJson, releaseJson } from "./github-json.ts";
import { GithubRepository, type PublishedRelease } from "./github-repository.ts";
import { type Failure, HttpHost, type Reply, type SeenRequest } from "./http-host.ts";

export interface GithubServerOptions {
  readonly owner?: string;
  readonly repo?: string;
  /** Tokens that are accepted; another one is answered 401. */
  readonly tokens?: readonly string[];
  /** Tokens that may read only. */
  readonly readOnlyTokens?: readonly string[];
  /** true: without a token there is nothing to see (404). */
  readonly private?: boolean;
  /** false: assets have no digest, as those from before June 2025. */
  readonly digests?: boolean;
  /** Calls an hour without a token; a 304 counts. */
  readonly anonymousLimit?: number;
  readonly app?: { readonly id: string; readonly installationId: string; readonly publicKey: string };
  /** Where `upload_url` leads, if not to this server. */
  readonly uploadOrigin?: string;
  readonly now?: () => Date;
}

/**
 * GitHub's REST API for one repository, in its wire format, as an Enterprise server (`url` ends in `/api/v3`).
 * Assets are on a second origin, `assets`, whose log shows what was sent there.
 */
export class GithubServer implements AsyncDisposable {
  readonly #tokens: Set<string>;
  #anonymousCalls = 0;
  #minted = 0;

  private constructor(
    private readonly options: GithubServerOptions,
    private readonly repository: GithubRepository,
    private readonly host: HttpHost,
    readonly assets: FlakyServer,
  ) {
    this.#tokens = new Set([...(options.tokens ?? []), ...(options.readOnlyTokens ?? [])]);
  }

  static async start(options: GithubServerOptions): Promise<GithubServer> {
    const assets = await FlakyServer.start();
    const repository = new GithubRepository(options.digests ?? true, options.now ?? (() => new Date()));
    const late: { server?: GithubServer } = {};
    const host = await HttpHost.start((request) => late.server?.answer(request) ?? { status: 503 });
    late.server = new GithubServer(options, repository, host, assets);
    return late.server;
  }

  /** For GITHUB_API_URL. */
  get url(): string {
    return `${this.host.origin}/api/v3`;
  }

  get registryUrl(): string {
    return `ghr://${this.#slug}`;
  }

  get requests(): readonly SeenRequest[] {
    return this.host.requests;
  }

  /** Makes a release, or adds files to one (a file of the same name is replaced). */
  publish(release: PublishedRelease): void {
    const stored = this.repository.publish(release);
    for (const asset of stored.assets) this.assets.put(`/${asset.id}`, asset.bytes);
  }

  remove(tag: string): void {
    this.repository.remove(tag);
  }

  removeFile(tag: string, name: string): void {
    this.repository.removeFile(tag, name);
  }

  /** What was uploaded to a release by `shipped_to_…` name. */
  reports(tag: string): { name: string; body: string }[] {
    const assets = this.repository.find(tag)?.assets ?? [];
    return assets
      .filter((asset) => asset.name.startsWith("shipped_to_"))
      .map(({ name, bytes }) => ({ name, body: Buffer.from(bytes).toString() }));
  }

  /** The hour of the calls without a token begins anew. */
  resetLimit(): void {
    this.#anonymousCalls = 0;
  }

  /** Scripted failures of the API; those of downloads are at `assets.fail()`. */
  fail(failure: Failure, options: { path?: RegExp; times?: number } = {}): void {
    this.host.fail(failure, options);
  }

  heal(): void {
    this.host.heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host[Symbol.asyncDispose]();
    await this.assets[Symbol.asyncDispose]();
  }

  get #uploads(): string {
    return `${this.options.uploadOrigin ?? this.host.origin}/api/uploads/repos/${this.#slug}`;
  }

  get #slug(): string {
    return `${this.options.owner ?? "o"}/${this.options.repo ?? "r"}`;
  }

  private answer(request: SeenRequest): Reply {
    const url = new URL(request.path, this.host.origin);
    const minting = /^\/api\/v3\/app\/installations\/(\d+)\/access_tokens$/.exec(url.pathname);
    if (minting !== null) return this.#mint(request, minting[1] ?? "");
    const token = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1] ?? null;
    if (token !== null && !this.#tokens.has(token)) return error(401, "Bad credentials");
    const limit = this.#limit(token);
    if (limit.exceeded) return { ...error(403, "API rate limit exceeded"), headers: limit.headers };
    const reply = this.#route(request, url, token);
    return { ...reply, headers: { ...limit.headers, ...reply.headers } };
  }

  #limit(token: string | null): { exceeded: boolean; headers: Record<string, string> } {
    const most = token === null ? (this.options.anonymousLimit ?? 60) : 5000;
    if (token === null) this.#anonymousCalls += 1;
    const used = token === null ? this.#anonymousCalls : 1;
    const now = this.options.now?.() ?? new Date();
    const headers = {
      "X-RateLimit-Limit": String(most),
      "X-RateLimit-Remaining": String(Math.max(0, most - used)),
      "X-RateLimit-Reset": String(Math.floor(now.getTime() / 1000) + 1800),
      Date: now.toUTCString(),
      "Content-Type": "application/json; charset=utf-8",
    };
    return { exceeded: used > most, headers };
  }

  #route(request: SeenRequest, url: URL, token: string | null): Reply {
    const uploads = url.pathname.startsWith("/api/uploads");
    const root = `${uploads ? "/api/uploads" : "/api/v3"}/repos/${this.#slug}/releases`;
    if (this.options.private === true && token === null) return error(404, "Not Found");
    if (url.pathname.toLowerCase() !== root.toLowerCase() && !url.pathname.startsWith(`${root}/`)) {
      return error(404, "Not Found");
    }
    const path = url.pathname.slice(root.length);
    if (uploads) return this.#upload(request, url, token);
    if (path === "") return this.#list(request, url, token);
    const tag = /^\/tags\/(.+)$/.exec(path)?.[1];
    if (tag !== undefined) return this.#release(request, decodeURIComponent(tag), token);
    return this.#asset(request, Number(/^\/assets\/(\d+)$/.exec(path)?.[1]));
  }

  #list(request: SeenRequest, url: URL, token: string | null): Reply {
    const size = Number(url.searchParams.get("per_page") ?? 30);
    const page = Number(url.searchParams.get("page") ?? 1);
    const all = this.repository.releases();
    const slice = all.slice((page - 1) * size, page * size);
    const last = Math.max(1, Math.ceil(all.length / size));
    const at = (number: number) => `<${this.host.origin}${url.pathname}?per_page=${size}&page=${number}>`;
    const links = page < last ? { Link: `${at(page + 1)}; rel="next", ${at(last)}; rel="last"` } : {};
    return this.#conditional(
      request,
      token,
      slice.map((release) => releaseJson(release, this.#uploads)),
      links,
    );
  }

  #release(request: SeenRequest, tag: string, token: string | null): Reply {
    const release = this.repository.find(tag);
    if (release === null || release.draft) return error(404, "Not Found");
    return this.#conditional(request, token, releaseJson(release, this.#uploads), {});
  }

  #conditional(
    request: SeenRequest,
    token: string | null,
    value: unknown,
    headers: Record<string, string>,
  ): Reply {
    const body = JSON.stringify(value);
    const ETag = `W/"${Bun.SHA256.hash(`${token}${body}${headers["Link"]}`, "hex")}"`;
    if (request.headers.get("if-none-match") === ETag) return { status: 304, headers: { ETag } };
    return { status: 200, headers: { ...headers, ETag }, body };
  }

  #asset(request: SeenRequest, id: number): Reply {
    const asset = this.repository.asset(id);
    if (asset === null) return error(404, "Not Found");
    if (request.headers.get("accept") !== "application/octet-stream") {
      return { status: 200, body: JSON.stringify(assetJson(asset)) };
    }
    return { status: 302, headers: { Location: `${this.assets.url}/${id}?signature=secret-signature` } };
  }

  #upload(request: SeenRequest, url: URL, token: string | null): Reply {
    if (token === null || this.options.readOnlyTokens?.includes(token) === true) {
      return error(403, "Resource not accessible by personal access token");
    }
    const id = Number(/\/releases\/(\d+)\/assets$/.exec(url.pathname)?.[1]);
    const name = url.searchParams.get("name") ?? "";
    const release = this.repository.releases().find((candidate) => candidate.id === id);
    if (release === undefined) return error(404, "Not Found");
    if (release.assets.some((asset) => asset.name === name)) {
      const errors = [{ resource: "ReleaseAsset", code: "already_exists", field: "name" }];
      return { status: 422, body: JSON.stringify({ message: "Validation Failed", errors }) };
    }
    this.publish({ tag: release.tag, files: { [name]: request.body } });
    return { status: 201, body: JSON.stringify({ name, state: "uploaded" }) };
  }

  #mint(request: SeenRequest, installationId: string): Reply {
    const app = this.options.app;
    const jwt = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
    const [head = "", claims = "", signature = ""] = jwt.split(".");
    const verifier = createVerify("RSA-SHA256").update(`${head}.${claims}`);
    if (app === undefined || !verifier.verify(app.publicKey, signature, "base64url")) {
      return error(401, "A JSON web token could not be decoded");
    }
    const { iss } = JSON.parse(Buffer.from(claims, "base64url").toString());
    if (String(iss) !== app.id || installationId !== app.installationId) return error(404, "Not Found");
    this.#minted += 1;
    const token = `ghs_minted${this.#minted}`;
    this.#tokens.add(token);
    const now = this.options.now?.() ?? new Date();
    const expires_at = new Date(now.getTime() + 3_600_000).toISOString().replace(/\.\d+Z$/, "Z");
    return { status: 201, body: JSON.stringify({ token, expires_at }) };
  }
}

/** `await using gh = await startGithub({ tokens: ["t"] })` */
export function startGithub(options: GithubServerOptions = {}): Promise<GithubServer> {
  return GithubServer.start(options);
}

function error(status: number, message: string): Reply {
  const headers = { "Content-Type": "application/json; charset=utf-8" };
  return {
    status,
    headers,
    body: JSON.stringify({ message, documentation_url: "https://docs.github.com/rest" }),
  };
}
