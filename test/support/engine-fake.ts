import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { tempDir } from "./temp-dir.ts";

/** What is written to a connection after a request for anything but the ping; it is left open afterwards. */
export type Answer = (request: string, connection: Socket) => void;

/** A server on a unix socket that speaks as much HTTP as a test wants, to be everything an engine should not be. */
export interface FakeEngine extends AsyncDisposable {
  readonly socket: string;
  readonly env: Readonly<Record<string, string>>;
  /** Request lines with their headers, pings apart. */
  readonly requests: readonly string[];
  /** Connections that are open. */
  readonly open: number;
  answer: Answer;
  /** Answered to a ping; null: as everything else. */
  ping: string | null;
}

export async function startFakeEngine(answer: Answer): Promise<FakeEngine> {
  const dir = tempDir();
  const socket = join(dir.path, "engine.sock");
  const requests: string[] = [];
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.on("close", () => connections.delete(connection));
    // A client that goes away is what many tests are about.
    connection.on("error", () => connection.destroy());
    let received = "";
    connection.on("data", (data) => {
      received += data.toString();
      if (!received.includes("\r\n\r\n")) return;
      const request = received;
      received = "";
      if (fake.ping !== null && request.startsWith("GET /_ping")) return void connection.end(fake.ping);
      requests.push(request);
      fake.answer(request, connection);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const fake: FakeEngine = {
    socket,
    env: { DOCKER_HOST: `unix://${socket}` },
    requests,
    get open() {
      return connections.size;
    },
    answer,
    ping: respond(200, "OK", { "Api-Version": "1.41" }),
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(socket, { force: true });
      dir[Symbol.dispose]();
    },
  };
  return fake;
}

export function respond(status: number, body: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ "Content-Length": String(Buffer.byteLength(body)), ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${status} Whatever\r\n${head}\r\n${body}`;
}

/** The head of an answer whose body comes in `chunk`s. */
export const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

export function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

export const lastChunk = "0\r\n\r\n";
