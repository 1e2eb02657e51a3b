import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface SeenRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** 0 until it was answered. */
  status: number;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** true: in chunks, without a Content-Length. */
  readonly chunked?: boolean;
}

/** What happens to a request instead of, or to, its answer. */
export type Failure =
  | { readonly reply: Reply }
  /** No answer at all. */
  | { readonly hang: true }
  /** The connection breaks after so many bytes of the body; how many of them arrive is chance. */
  | { readonly cutAfter: number }
  /** Nothing comes any more after so many bytes of the body, until `cut()`. */
  | { readonly hangAfter: number };

interface Script {
  readonly failure: Failure;
  readonly path: RegExp;
  times: number;
}

export type Handler = (request: SeenRequest) => Reply | Promise<Reply>;

/** A real HTTP server on a port of its own, with a log of requests and scripted failures. */
export class HttpHost implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  readonly #scripts: Script[] = [];
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response));
  readonly #hanging = new Set<ServerResponse>();
  #origin = "";

  private constructor(private readonly handler: Handler) {}

  static async start(handler: Handler): Promise<HttpHost> {
    const host = new HttpHost(handler);
    const { promise, resolve } = Promise.withResolvers<void>();
    host.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    const { port } = host.#server.address() as AddressInfo;
    host.#origin = `http://127.0.0.1:${port}`;
    return host;
  }

  /** `http://127.0.0.1:<port>` */
  get origin(): string {
    return this.#origin;
  }

  /** The next `times` requests whose path matches fail so; scripts apply in the order they were given. */
  fail(failure: Failure, options: { path?: RegExp; times?: number } = {}): void {
    this.#scripts.push({ failure, path: options.path ?? /./, times: options.times ?? 1 });
  }

  /** Breaks the connections that hang, after their bytes arrived for certain. */
  cut(): void {
    for (const response of this.#hanging) response.socket?.destroy();
    this.#hanging.clear();
  }

  /** Ends all scripted failures. */
  heal(): void {
    this.#scripts.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const request: SeenRequest = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      headers: new Headers(
        Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]),
      ),
      body: Buffer.concat(chunks),
      status: 0,
    };
    this.requests.push(request);
    const failure = this.#failureFor(request.path);
    if (failure !== null && "hang" in failure) return;
    const reply = failure !== null && "reply" in failure ? failure.reply : await this.handler(request);
    request.status = reply.status;
    const body = typeof reply.body === "string" ? Buffer.from(reply.body) : reply.body;
    const length =
      body === undefined || reply.chunked === true ? {} : { "Content-Length": String(body.length) };
    response.writeHead(reply.status, { ...length, ...reply.headers });
    if (failure === null || "reply" in failure) return void response.end(body);
    if ("hangAfter" in failure) this.#hanging.add(response);
    const kept = "cutAfter" in failure ? failure.cutAfter : failure.hangAfter;
    response.write(body?.subarray(0, kept) ?? "", () => {
      if ("cutAfter" in failure) response.socket?.end();
    });
  }

  #failureFor(path: string): Failure | null {
    const script = this.#scripts.find((candidate) => candidate.times > 0 && candidate.path.test(path));
    if (script === undefined) return null;
    script.times -= 1;
    return script.failure;
  }
}
