import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the receiver does to one request. `dies`: the connection breaks without an answer. */
export type Mood = "takes" | "limited" | "broken" | "hangs" | "dies";

export interface Taken {
  readonly id: string;
  readonly body: unknown;
}

/** A web hook's receiver, at one address for the whole test, whose mood is asked for each request. */
export class MoodyReceiver implements AsyncDisposable {
  /** What it answered with 200, in the order it did. */
  readonly taken: Taken[] = [];
  readonly moods: Mood[] = [];
  mood: () => Mood = () => "takes";
  /** A request came that nobody will answer. */
  onHang: () => void = () => undefined;
  #url = "";
  readonly #server = createServer((incoming, response) => void this.#serve(incoming, response));

  static async start(): Promise<MoodyReceiver> {
    const receiver = new MoodyReceiver();
    const { promise, resolve } = Promise.withResolvers<void>();
    receiver.#server.listen(0, "127.0.0.1", resolve);
    await promise;
    const { port } = receiver.#server.address() as AddressInfo;
    receiver.#url = `http://127.0.0.1:${port}/hook`;
    return receiver;
  }

  get url(): string {
    return this.#url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return; // the agent died in the middle of it
    }
    const mood = this.mood();
    this.moods.push(mood);
    switch (mood) {
      case "takes":
        this.taken.push({
          id: String(incoming.headers["x-dewy-id"]),
          body: JSON.parse(Buffer.concat(chunks).toString()),
        });
        return void response.writeHead(200).end();
      case "limited":
        return void response.writeHead(429, { "Retry-After": "1" }).end();
      case "broken":
        return void response.writeHead(500).end();
      case "hangs":
        return this.onHang();
      case "dies":
        return void response.socket?.destroy();
    }
  }
}
