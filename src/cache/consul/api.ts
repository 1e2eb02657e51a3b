import { DewyError, messageOf } from "../../errors.ts";
import { readBytes } from "../../http/body.ts";
import type { HttpClient } from "../../http/client.ts";
import { slowError } from "../../http/error.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { ValueKind } from "../key-value.ts";
import { answerError } from "./failure.ts";
import type { ConsulOptions } from "./url.ts";

export interface ConsulDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
  /** Milliseconds for a call about such a value; only tests have others. */
  readonly deadlines?: Readonly<Record<ValueKind, number>>;
}

export interface ConsulRequest {
  readonly method: "GET" | "PUT" | "DELETE";
  /** From `/v1/` on; made of what needs no escapes. */
  readonly path: string;
  /** Beside `dc`: a name, or a name and its value. */
  readonly query?: readonly string[];
  readonly body?: string | Uint8Array;
  readonly doing: string;
  readonly limitMs: number;
}

/** All but 404 are failures, told by what Consul says of them. */
const explained = [400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504];
/** A list of 600 chunks of each of a hundred artifacts has 6 MB. */
const maxAnswerBytes = 32 * 1024 * 1024;

/** Consul's HTTP API, https://developer.hashicorp.com/consul/api-docs/kv. Each call has a deadline of its own. */
export class ConsulApi {
  constructor(
    private readonly options: ConsulOptions,
    private readonly deps: ConsulDeps,
  ) {}

  /** The body of a 200; null: 404. */
  async call(request: ConsulRequest, c: Call): Promise<Uint8Array | null> {
    const { http, clock } = this.deps;
    const { doing, limitMs } = request;
    const deadline = new Watchdog(clock, limitMs, () => slowError(doing, limitMs));
    deadline.wait();
    try {
      return await this.#exchange(request, { signal: AbortSignal.any([c.signal, deadline.signal]) });
    } catch (error) {
      if (c.signal.aborted || !deadline.signal.aborted) throw error;
      // The client takes the deadline for the caller's own.
      http.governor.failed(this.options.origin, "network", messageOf(deadline.signal.reason));
      throw deadline.signal.reason;
    } finally {
      deadline.stop();
    }
  }

  /** As `call`, of JSON. */
  async json<T>(request: ConsulRequest, read: (json: unknown) => T, c: Call): Promise<T | null> {
    const body = await this.call(request, c);
    if (body === null) return null;
    try {
      return read(JSON.parse(Buffer.from(body).toString()));
    } catch (error) {
      throw this.odd(request, messageOf(error));
    }
  }

  odd({ doing }: ConsulRequest, why: string): DewyError {
    const { host } = new URL(this.options.origin);
    return new DewyError("bad-answer", `${doing}: what answers at ${host} is no Consul (${why})`, {
      hint: "check host and port of the cache URL",
    });
  }

  async #exchange(request: ConsulRequest, c: Call): Promise<Uint8Array | null> {
    const { origin, datacenter, token } = this.options;
    const { method, path, body, doing } = request;
    const query = [...(request.query ?? []), ...(datacenter === null ? [] : [dcOf(datacenter)])];
    const { http } = this.deps;
    const answer = await http.request(
      {
        url: `${origin}${path}${query.length === 0 ? "" : `?${query.join("&")}`}`,
        method,
        doing,
        ...(token === null ? {} : { headers: { "X-Consul-Token": token } }),
        ...(body === undefined ? {} : { body }),
        accept: explained,
        raw: true,
      },
      c,
    );
    const bytes = await readBytes(answer.body, maxAnswerBytes, doing);
    if (answer.status === 200) return bytes;
    // Any web server says 404; that there is no such key says only Consul.
    if (answer.status === 404 && answer.headers.has("x-consul-index")) return null;
    if (answer.status === 404) throw this.odd(request, "404");
    const failure = {
      status: answer.status,
      said: Buffer.from(bytes).toString(),
      sentBytes: body?.length ?? 0,
      retryAfterMs: http.governor.waitMs(origin),
    };
    throw answerError(failure, doing, this.options);
  }
}

function dcOf(datacenter: string): string {
  return `dc=${encodeURIComponent(datacenter)}`;
}
