import { readFileSync } from "node:fs";
import type { DewyError } from "../../errors.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { type Endpoint, nameOf, type TlsFiles } from "./endpoint.ts";
import { badTls, silent, unreachable } from "./failure.ts";

export interface EngineRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** With its query, without the version. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: object;
  /** Begins every error. Holds no secret. */
  readonly doing: string;
  readonly limit: Limit;
}

/** `whole`: for head and body together; `silence`: between two pieces of it; `none`: a stream that may be still. */
export type Limit =
  | { readonly kind: "whole"; readonly ms: number }
  | { readonly kind: "silence"; readonly ms: number; readonly reason: () => DewyError }
  | { readonly kind: "none" };

export interface EngineAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * One request. When `read` ends, so does the connection, whatever is left of the answer. Fails with
 * `engine-unreachable` when the connection can't be made, is cut, or stays silent beyond the limit.
 */
export async function exchange<T>(
  endpoint: Endpoint,
  request: EngineRequest,
  read: (answer: EngineAnswer) => Promise<T>,
  deps: { readonly clock: Clock },
  c: Call,
): Promise<T> {
  c.signal.throwIfAborted();
  const { doing, limit } = request;
  const where = nameOf(endpoint);
  const watchdog =
    limit.kind === "none"
      ? null
      : new Watchdog(deps.clock, limit.ms, () =>
          limit.kind === "silence" ? limit.reason() : silent(doing, where, limit.ms),
        );
  watchdog?.wait();
  // Ends the connection also when `read` fails half way.
  const done = new AbortController();
  const signals = [c.signal, done.signal, ...(watchdog === null ? [] : [watchdog.signal])];
  const explain = (error: unknown): unknown => {
    if (c.signal.aborted) return c.signal.reason;
    return watchdog?.signal.aborted === true ? watchdog.signal.reason : unreachable(error, doing, where);
  };
  const attempt = async <R>(work: Promise<R>): Promise<R> => {
    try {
      return await work;
    } catch (error) {
      throw explain(error);
    }
  };
  try {
    const response = await attempt(send(endpoint, request, AbortSignal.any(signals)));
    if (limit.kind === "silence") watchdog?.wait();
    return await read({
      status: response.status,
      headers: response.headers,
      chunks: chunksOf(response, attempt, () => limit.kind === "silence" && watchdog?.wait()),
    });
  } finally {
    watchdog?.stop();
    done.abort();
  }
}

function send(endpoint: Endpoint, request: EngineRequest, signal: AbortSignal): Promise<Response> {
  const json = request.json === undefined ? null : JSON.stringify(request.json);
  const secure = endpoint.kind === "tcp" && endpoint.tls !== null;
  const host = endpoint.kind === "tcp" ? endpoint.authority : "engine";
  const options: BunFetchRequestInit & { timeout: false } = {
    method: request.method,
    headers: { ...request.headers, ...(json === null ? {} : { "Content-Type": "application/json" }) },
    ...(json === null ? {} : { body: json }),
    // A new connection each time costs nothing on a unix socket; one kept from before a restart of the engine
    // would fail the first request after it, and only some could be sent again.
    keepalive: false,
    redirect: "manual",
    // Else Bun ends a silent stream after five minutes; every request has its own limit.
    timeout: false,
    signal,
    ...(endpoint.kind === "unix" ? { unix: endpoint.path } : {}),
    ...(endpoint.kind === "tcp" && endpoint.tls !== null ? { tls: readTls(endpoint.tls) } : {}),
  };
  return fetch(`${secure ? "https" : "http"}://${host}${request.path}`, options);
}

function readTls({ ca, cert, key }: TlsFiles) {
  try {
    return { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
  } catch (error) {
    throw badTls(error);
  }
}

async function* chunksOf(
  response: Response,
  attempt: <R>(work: Promise<R>) => Promise<R>,
  alive: () => void,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await attempt(reader.read());
    if (done) return;
    alive();
    yield value;
  }
}
