import { DewyError, messageOf } from "../errors.ts";
import { readBytes } from "../http/body.ts";
import type { HttpAnswer, HttpClient } from "../http/client.ts";
import { slowError } from "../http/error.ts";
import { Watchdog } from "../http/watchdog.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { type Authorization, type Authorizer, type Endpoint, withLoginHint } from "./authorizer.ts";
import type { Repository } from "./reference.ts";

export interface ApiRequest {
  readonly endpoint: Endpoint;
  /** Below the repository: `/tags/list?n=1000`. */
  readonly path: string;
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly accept?: readonly number[];
  readonly doing: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly host: string;
  /** As they were sent; empty for HEAD. */
  readonly bytes: Uint8Array;
}

interface ApiDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly authorizer: Authorizer;
}

const deadlineMs = 120_000;

/** One repository's part of the OCI distribution API, `/v2/<name>`. */
export class DistributionApi {
  constructor(
    readonly repository: Repository,
    private readonly deps: ApiDeps,
  ) {}

  /** The whole answer; `bad-answer` when it is longer than `maxBytes`. */
  async ask(request: ApiRequest, maxBytes: number, c: Call): Promise<ApiAnswer> {
    const { doing } = request;
    const deadline = new Watchdog(this.deps.clock, deadlineMs, () => slowError(doing, deadlineMs));
    deadline.wait();
    try {
      const limited = { signal: AbortSignal.any([c.signal, deadline.signal]) };
      const { body, ...head } = await this.#authorized(request, limited);
      return { ...head, bytes: await readBytes(body, maxBytes, doing) };
    } finally {
      deadline.stop();
    }
  }

  async #authorized(request: ApiRequest, c: Call): Promise<HttpAnswer> {
    const { authorizer } = this.deps;
    const { endpoint } = request;
    const known = await authorizer.current(endpoint, c);
    const first = await this.#send(request, known, [401], c);
    if (first.status !== 401) return first;
    await first.body.discard();
    // A challenge of the host a redirect led to is not this registry's.
    if (first.host !== new URL(this.repository.origin).host) throw this.#refusal(request, known, first.host);
    const next = await authorizer.challenged(endpoint, first.headers.get("www-authenticate"), known, c);
    if (next === null) throw this.#refusal(request, null, first.host);
    return this.#send(request, next, [], c);
  }

  async #send(
    request: ApiRequest,
    authorization: Authorization | null,
    accept: readonly number[],
    c: Call,
  ): Promise<HttpAnswer> {
    const { path, headers, doing, method = "GET" } = request;
    const { origin, name } = this.repository;
    const login = authorization === null ? {} : { Authorization: authorization.value };
    try {
      return await this.deps.http.request(
        {
          url: `${origin}/v2/${name}${path}`,
          method,
          headers: { ...headers, ...login },
          accept: [...(request.accept ?? []), ...accept],
          raw: true,
          doing,
        },
        c,
      );
    } catch (error) {
      if (error instanceof DewyError && error.code === "unauthorized") this.deps.authorizer.refused();
      throw withLoginHint(error, this.repository, authorization?.source ?? null);
    }
  }

  #refusal(request: ApiRequest, sent: Authorization | null, host: string): unknown {
    const error = new DewyError("unauthorized", `${request.doing}: ${host} answered 401`);
    return withLoginHint(error, this.repository, sent?.source ?? null);
  }
}

/** `bad-answer` names what came instead. */
export function parseAnswer<T>(answer: ApiAnswer, doing: string, read: (json: unknown) => T): T {
  try {
    return read(JSON.parse(Buffer.from(answer.bytes).toString("utf8")));
  } catch (error) {
    const type = answer.headers.get("content-type") ?? "no content type";
    const what =
      error instanceof SyntaxError
        ? `something that is not JSON (${type})`
        : `JSON of an unexpected shape (${messageOf(error)})`;
    throw new DewyError("bad-answer", `${doing}: ${answer.host} answered ${what}`);
  }
}
