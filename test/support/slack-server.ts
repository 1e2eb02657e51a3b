import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { SecretWatch } from "./secrets.ts";
import { type PostedMessage, problemOf } from "./slack-payload.ts";

/** What happens to a call instead of, or beside, its answer. */
export type SlackFailure =
  /** `ok: false`, with what Slack adds to some of them. */
  | { readonly error: string; readonly fields?: Readonly<Record<string, unknown>> }
  /** Any other answer. */
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** No answer; half an answer; the connection breaks before, or after, the message was taken. */
  | "hang"
  | "hang-half-way"
  | "cut"
  | "cut-when-taken";

export interface SlackCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The form's or the JSON's, lists decoded. */
  readonly args: Readonly<Record<string, unknown>>;
}

interface SlackServerOptions {
  readonly token: string;
  /** Names and IDs; any other one is not found. */
  readonly channels?: readonly string[];
  /** Messages that can be answered. */
  readonly threads?: readonly string[];
  readonly tls?: { readonly cert: string; readonly key: string };
}

/**
 * chat.postMessage as Slack has it: a bearer token, a form or JSON, `ok: true` with a `ts` or `ok: false` with an error,
 * whatever the status. Refuses what Slack refuses, and arguments and blocks that its reference doesn't know.
 */
export class SlackServer implements AsyncDisposable {
  /** Every call that came whole, taken or not. */
  readonly calls: SlackCall[] = [];
  /** The messages taken, oldest first. */
  readonly messages: PostedMessage[] = [];
  /** Calls that were still open when their connection ended. */
  abandoned = 0;
  readonly #options: SlackServerOptions;
  readonly #server: ReturnType<typeof createServer>;
  readonly #watch = new SecretWatch();
  readonly #sockets = new Set<Socket>();
  readonly #failures: { readonly failure: SlackFailure; times: number }[] = [];
  #lastTs = 1_503_435_956_000_000;

  private constructor(options: SlackServerOptions) {
    this.#options = options;
    const serve: RequestListener = (request, response) => void this.#serve(request, response);
    this.#server = options.tls === undefined ? createServer(serve) : createTlsServer(options.tls, serve);
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(options: SlackServerOptions): Promise<SlackServer> {
    const server = new SlackServer(options);
    await new Promise<void>((done) => server.#server.listen(0, "127.0.0.1", done));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** For SLACK_API_URL. */
  get apiUrl(): string {
    return `${this.#options.tls === undefined ? "http" : "https"}://${this.host}/api/`;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** The next `times` calls end so, in the order they were told. */
  fail(failure: SlackFailure, times = Number.POSITIVE_INFINITY): void {
    this.#failures.push({ failure, times });
  }

  heal(): void {
    this.#failures.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
    this.#watch.refuse();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("close", () => {
      if (!response.writableEnded) this.abandoned += 1;
    });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    );
    const args = argumentsOf(headers["content-type"] ?? "", body);
    this.#watch.see(`${request.url}\n${JSON.stringify(args)}`, headers);
    this.calls.push({ path: request.url ?? "", headers, args });
    const failure = this.#nextFailure();
    if (failure === "hang") return;
    if (failure === "cut") return void response.socket?.destroy();
    if (failure === null || typeof failure === "string") {
      const answer = this.#answer(request, headers, args);
      if (failure === "cut-when-taken") return void response.socket?.destroy();
      if (failure === "hang-half-way") {
        response.writeHead(200, { "Content-Type": "application/json", "Content-Length": "1000" });
        return void response.write('{"ok":true,');
      }
      return send(response, 200, {}, JSON.stringify(answer));
    }
    if ("error" in failure) {
      return send(response, 200, {}, JSON.stringify({ ok: false, error: failure.error, ...failure.fields }));
    }
    send(response, failure.status, failure.headers ?? {}, failure.body ?? "");
  }

  #nextFailure(): SlackFailure | null {
    const next = this.#failures.find(({ times }) => times > 0);
    if (next === undefined) return null;
    next.times -= 1;
    return next.failure;
  }

  #answer(
    { method, url }: IncomingMessage,
    headers: Readonly<Record<string, string>>,
    args: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    if (method !== "POST" || url !== "/api/chat.postMessage") return { ok: false, error: "unknown_method" };
    if (headers["authorization"] === undefined) return { ok: false, error: "not_authed" };
    if (headers["authorization"] !== `Bearer ${this.#options.token}`)
      return { ok: false, error: "invalid_auth" };
    const { channels = ["#deploys"], threads = [] } = this.#options;
    const problem = problemOf(args, { channels, threads });
    if (problem !== null) return { ok: false, ...problem };
    this.#lastTs += 1_000_001;
    const ts = `${Math.floor(this.#lastTs / 1e6)}.${String(this.#lastTs % 1e6).padStart(6, "0")}`;
    const { channel, text } = args;
    // Its shape is what problemOf looked at.
    this.messages.push({ ...args, ts } as PostedMessage);
    return {
      ok: true,
      channel: "C0DEPLOYS",
      ts,
      message: { type: "message", subtype: "bot_message", ts, text, channel },
    };
  }
}

function send(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  response.writeHead(status, { "Content-Type": "application/json; charset=utf-8", ...headers });
  response.end(body);
}

/** In a form, lists and objects are JSON, and so are numbers and booleans. */
function argumentsOf(contentType: string, body: string): Record<string, unknown> {
  if (contentType.startsWith("application/json")) return JSON.parse(body);
  if (!contentType.startsWith("application/x-www-form-urlencoded")) return { invalid_post_type: contentType };
  const args: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(body)) {
    args[name] = jsonArguments.has(name) ? JSON.parse(value) : value;
  }
  return args;
}

const jsonArguments: ReadonlySet<string> = new Set([
  "blocks",
  "attachments",
  "link_names",
  "reply_broadcast",
  "unfurl_links",
  "unfurl_media",
  "mrkdwn",
]);
