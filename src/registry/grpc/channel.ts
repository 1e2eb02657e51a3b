import { Client, Metadata, type MetadataValue, type ServiceError } from "@grpc/grpc-js";
import { DewyError } from "../../errors.ts";
import { Dialer, type Dialing } from "../../grpc/dialer.ts";
import { trustingContext } from "../../grpc/roots.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { callError, type Peer, silenceError } from "./failure.ts";
import { proxyFor } from "./proxy.ts";
import { authorityOf, type GrpcOptions } from "./url.ts";
import { waitMs } from "./wait.ts";

export interface ChannelDeps {
  readonly clock: Clock;
  /** `SSL_CERT_FILE`, `HTTPS_PROXY`, `NO_PROXY`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `dewy/<version>` */
  readonly userAgent: string;
}

interface Line {
  readonly client: Client;
  readonly dialer: Dialer;
}

type Reply = { readonly body: Uint8Array } | { readonly error: ServiceError };

const deadlineMs = 30_000;
const maxAnswerBytes = 1024 * 1024;

/**
 * Unary calls to one server over one connection that is kept. After a failure that may be the connection's it is
 * closed and the next call makes another: the library would go on connecting by itself, and answer from memory
 * meanwhile, while here the governor decides when a server in trouble is asked again.
 */
export class GrpcChannel implements AsyncDisposable {
  #line: Line | null = null;
  #closed = false;

  /** Throws `config-invalid` when the options or the environment can't work. */
  constructor(
    private readonly options: GrpcOptions,
    private readonly deps: ChannelDeps,
  ) {
    this.#dialing();
  }

  /** The message's bytes → the answer's bytes; the status, or what else went wrong, as a DewyError. */
  async call(path: string, message: Uint8Array, doing: string, c: Call): Promise<Uint8Array> {
    c.signal.throwIfAborted();
    const waited = this.#line !== null;
    try {
      return await this.#attempt(path, message, doing, c);
    } catch (error) {
      // The server may have closed a connection that waited for this call: no news as long as a new one works.
      const broke = error instanceof DewyError && error.code === "network-unreachable";
      if (!waited || !broke || c.signal.aborted) throw error;
      return this.#attempt(path, message, doing, c);
    }
  }

  async #attempt(path: string, message: Uint8Array, doing: string, c: Call): Promise<Uint8Array> {
    if (this.#closed) throw new DewyError("stopped", `${doing}: stopped`);
    this.#line ??= this.#open();
    const line = this.#line;
    const peer = this.#peer();
    const watchdog = new Watchdog(this.deps.clock, deadlineMs, () =>
      silenceError(deadlineMs, line.dialer.connected, doing, peer),
    );
    watchdog.wait();
    let kept = false;
    try {
      const reply = await unary(line.client, path, message, AbortSignal.any([c.signal, watchdog.signal]));
      kept = "body" in reply || isAnswer(reply.error);
      if ("body" in reply) return reply.body;
      throw callError(failureOf(reply.error, line.dialer), doing, peer);
    } finally {
      watchdog.stop();
      // Who stops a call says nothing of the connection; the server is to hear of it.
      if (!kept && !(c.signal.aborted && line.dialer.connected)) this.#drop(line);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#line !== null) this.#drop(this.#line);
  }

  #open(): Line {
    const proxy = proxyFor(this.options, this.deps.env);
    const dialer = new Dialer(this.#dialing());
    const client = new Client(`dns:${authorityOf(proxy ?? this.options)}`, dialer, {
      "grpc.default_authority": authorityOf(this.options),
      "grpc.primary_user_agent": this.deps.userAgent,
      "grpc.max_receive_message_length": maxAnswerBytes,
      // No TXT records, proxies and shared connections that the URL doesn't speak of.
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
    });
    return { client, dialer };
  }

  /** Reads the certificates anew each time, so that a renewed authority needs no restart. */
  #dialing(): Dialing {
    const { options, deps } = this;
    const { tls } = options;
    const proxy = proxyFor(options, deps.env);
    const context = tls && trustingContext(tls.caFile, deps.env["SSL_CERT_FILE"]);
    return {
      tunnel: proxy && { target: authorityOf(options), authorization: proxy.authorization },
      tls: context && { context: () => context, serverName: tls?.serverName ?? options.host },
      // The call's deadline drops the line.
      handshakeMs: null,
    };
  }

  #peer(): Peer {
    const proxy = proxyFor(this.options, this.deps.env);
    return {
      host: authorityOf(this.options),
      tls: this.options.tls !== null,
      proxy: proxy && authorityOf(proxy),
    };
  }

  #drop(line: Line): void {
    if (this.#line === line) this.#line = null;
    line.client.close();
    line.dialer.close();
  }
}

/** Rejects with the signal's reason. */
function unary(client: Client, path: string, message: Uint8Array, signal: AbortSignal): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  // The bytes are read by whoever knows their message, so that garbage in them is no garbage on the wire.
  const same = (bytes: Buffer) => bytes;
  const call = client.makeUnaryRequest(
    path,
    same,
    same,
    Buffer.from(message),
    new Metadata(),
    (error, body) => {
      if (error !== null) resolve({ error });
      else resolve({ body: body ?? Buffer.alloc(0) });
    },
  );
  const onAbort = () => {
    call.cancel();
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}

function failureOf(error: ServiceError, dialer: Dialer) {
  const { code: status, details, metadata } = error;
  const text = (key: string) => asText(metadata.get(key)[0]);
  const statusDetails = metadata.get("grpc-status-details-bin")[0];
  return {
    status,
    details,
    answered: isAnswer(error),
    waitMs: waitMs({
      pushback: text("grpc-retry-pushback-ms"),
      retryAfter: text("retry-after"),
      statusDetails: typeof statusDetails === "string" ? undefined : statusDetails,
    }),
    dial: dialer.failure,
  };
}

/** Statuses that the library makes up come without headers; every HTTP/2 answer has some (`content-type`). */
function isAnswer({ metadata }: ServiceError): boolean {
  return Object.keys(metadata.getMap()).length > 0;
}

function asText(value: MetadataValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
