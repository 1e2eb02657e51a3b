import { readFileSync } from "node:fs";
import { DewyError, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { type HttpBody, httpBody, readText } from "./body.ts";
import { explanation, isDeadline, networkError, silentError, slowError, withWait } from "./error.ts";
import { Governor } from "./governor.ts";
import { HttpMemory } from "./memory.ts";
import { type Hop, isRedirect, nextHop } from "./redirect.ts";
import { limitMs, type StatusLine, statusError } from "./status.ts";
import { Watchdog } from "./watchdog.ts";

const quietMs = 30_000;
const jsonDeadlineMs = 120_000;
const maxJsonBytes = 32 * 1024 * 1024;
const maxMemoryBytes = 16 * 1024 * 1024;
const maxRedirects = 5;

export interface HttpOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** `dewy/<version>` */
  readonly userAgent: string;
  /** Only SSL_CERT_FILE is looked at, to warn when Bun would silently ignore it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly random?: () => number;
}

export interface HttpRequest {
  readonly url: string;
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Credentials among them go to the URL's own origin only. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** What the request is for; begins every error. Holds no secret. */
  readonly doing: string;
  /** Statuses besides 2xx that the caller handles itself; others are thrown as DewyError. */
  readonly accept?: readonly number[];
  /** The stored bytes as they are: nothing is compressed on the way nor decompressed here. */
  readonly raw?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Who answered, after redirects. */
  readonly host: string;
  readonly body: HttpBody;
}

export interface JsonRequest<T> extends HttpRequest {
  /** Picks what is needed, which is also what is remembered; throws when the shape is not what it should be. */
  readonly read: (json: unknown, headers: Headers) => T;
}

export interface JsonAnswer<T> {
  readonly value: T;
  /** false: 304, `value` is the very object of the last time. */
  readonly changed: boolean;
}

/**
 * What every HTTP client of dewy goes through: deadlines, redirects that keep credentials at home, statuses as
 * DewyErrors, rate limits and back-off per origin, conditional requests. Proxies (`HTTPS_PROXY`, `HTTP_PROXY`,
 * `NO_PROXY`) and `SSL_CERT_FILE`, added to the system's roots, are honoured by Bun's fetch itself.
 */
export class HttpClient {
  readonly governor: Governor;
  readonly #memory = new HttpMemory(maxMemoryBytes);
  readonly #clock: Clock;
  readonly #userAgent: string;

  constructor(options: HttpOptions) {
    this.#clock = options.clock;
    this.#userAgent = options.userAgent;
    this.governor = new Governor(options);
    warnOfUnreadableRoots(options.env?.["SSL_CERT_FILE"], options.log);
  }

  /** One request, its redirects followed. The caller reads or discards the body. */
  async request(request: HttpRequest, c: Call): Promise<HttpAnswer> {
    let hop = this.#firstHop(request);
    for (let redirects = 0; ; redirects++) {
      const { response, body } = await this.#exchange(hop, request, c);
      if (!isRedirect(response.status)) return await this.#judge(hop, request, response, body);
      this.governor.succeeded(hop.url.origin);
      await body.discard();
      if (redirects === maxRedirects) {
        throw new DewyError("bad-answer", `${request.doing}: more than ${maxRedirects} redirects`);
      }
      hop = nextHop(hop, response.status, response.headers.get("location"), request.doing);
    }
  }

  /** A JSON document; asked for with If-None-Match when an earlier answer had an ETag. */
  async getJson<T>(request: JsonRequest<T>, c: Call): Promise<JsonAnswer<T>> {
    const key = memoryKey(request);
    const known = this.#memory.recall(key);
    const conditional = known === null ? {} : { "If-None-Match": known.etag };
    const deadline = new Watchdog(this.#clock, jsonDeadlineMs, () =>
      slowError(request.doing, jsonDeadlineMs),
    );
    deadline.wait();
    try {
      const answer = await this.request(
        {
          ...request,
          headers: { ...request.headers, ...conditional },
          accept: [...(request.accept ?? []), ...(known === null ? [] : [304])],
        },
        { signal: AbortSignal.any([c.signal, deadline.signal]) },
      );
      if (known !== null && answer.status === 304) {
        await answer.body.discard();
        // What was remembered under this key was made by the `read` of the same kind of request.
        return { value: known.value as T, changed: false };
      }
      const value = parseJson(request, answer, await readText(answer.body, maxJsonBytes, request.doing));
      const etag = isGet(request) ? answer.headers.get("etag") : null;
      if (etag === null) this.#memory.forget(key);
      else this.#memory.remember(key, etag, value, JSON.stringify(value ?? null).length);
      return { value, changed: true };
    } finally {
      deadline.stop();
    }
  }

  #firstHop(request: HttpRequest): Hop {
    const url = new URL(request.url);
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      throw new DewyError("internal", `${request.doing}: not an HTTP URL`);
    }
    const headers = new Headers(request.headers);
    headers.set("User-Agent", this.#userAgent);
    if (request.raw === true) headers.set("Accept-Encoding", "identity");
    return { url, method: request.method ?? "GET", headers, body: request.body };
  }

  /** One request and the answer's head; its failures count against the origin. */
  async #exchange(hop: Hop, request: HttpRequest, c: Call): Promise<{ response: Response; body: HttpBody }> {
    c.signal.throwIfAborted();
    const { origin, host } = hop.url;
    this.governor.admit(origin, request.doing);
    const watchdog = new Watchdog(this.#clock, quietMs, () => silentError(request.doing, host, quietMs));
    const explain = (error: unknown): unknown => {
      if (c.signal.aborted) return c.signal.reason;
      return watchdog.signal.aborted ? watchdog.signal.reason : networkError(error, request.doing, host);
    };
    watchdog.wait();
    try {
      const response = await fetch(hop.url, {
        method: hop.method,
        headers: hop.headers,
        ...(hop.body === undefined ? {} : { body: hop.body }),
        redirect: "manual",
        decompress: request.raw !== true,
        signal: AbortSignal.any([c.signal, watchdog.signal]),
      });
      watchdog.rest();
      return { response, body: httpBody(response, { watchdog, explain }) };
    } catch (error) {
      watchdog.stop();
      const failure = explain(error);
      if (failure instanceof DewyError && !c.signal.aborted) {
        this.governor.failed(origin, "network", failure.message);
        throw withWait(failure, this.governor.waitMs(origin));
      }
      // The caller's patience was shorter than ours.
      if (isDeadline(failure)) this.governor.failed(origin, "network", "no answer before a deadline");
      throw failure;
    }
  }

  async #judge(hop: Hop, request: HttpRequest, response: Response, body: HttpBody): Promise<HttpAnswer> {
    const { origin, host } = hop.url;
    const { status, headers } = response;
    const accepted = response.ok || request.accept?.includes(status) === true;
    const said = accepted ? "" : await explanation(response, body, hop.headers);
    const line: StatusLine = { status, headers, said };
    const limitedMs = limitMs(line, this.#clock.now());
    if (limitedMs !== null) this.governor.limited(origin, limitedMs, `rate limit, status ${status}`);
    // GitHub locks out whoever keeps sending bad credentials, so 401 backs off too; one that the caller accepts is a
    // challenge, which says nothing about the origin.
    const challenged = status === 401 && accepted;
    if (status >= 500 || (status === 401 && !accepted)) {
      this.governor.failed(origin, "server", `status ${status}`);
    } else if (limitedMs === null && !challenged) this.governor.succeeded(origin);
    if (accepted) return { status, headers, host, body };
    throw withWait(statusError(line, limitedMs, request.doing, host), this.governor.waitMs(origin));
  }
}

function isGet(request: HttpRequest): boolean {
  return request.method === undefined || request.method === "GET";
}

function parseJson<T>(request: JsonRequest<T>, answer: HttpAnswer, text: string): T {
  try {
    return request.read(JSON.parse(text), answer.headers);
  } catch (cause) {
    if (cause instanceof DewyError) throw cause;
    const why =
      cause instanceof SyntaxError
        ? `something that is not JSON (${answer.headers.get("content-type") ?? "no content type"})`
        : `JSON of an unexpected shape (${messageOf(cause)})`;
    throw new DewyError("bad-answer", `${request.doing}: ${answer.host} answered ${why}`);
  }
}

/** Answers are remembered per URL and credential; only a hash of the credential is kept. */
function memoryKey(request: HttpRequest): string {
  const credential = new Headers(request.headers).get("authorization") ?? "";
  return `${request.method ?? "GET"} ${Bun.SHA256.hash(credential, "hex")} ${request.url}`;
}

function warnOfUnreadableRoots(path: string | undefined, log: Log): void {
  if (path === undefined || path === "") return;
  try {
    if (/-----BEGIN (TRUSTED )?CERTIFICATE-----/.test(readFileSync(path, "latin1"))) return;
    log.warn("SSL_CERT_FILE holds no certificate", { path, hint: "name a file of PEM certificates" });
  } catch (error) {
    log.warn("SSL_CERT_FILE cannot be read", { path, error: messageOf(error) });
  }
}
