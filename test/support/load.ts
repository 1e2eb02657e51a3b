import type { Socket } from "bun";

/** What a load saw. A failure is a request without its complete answer. */
export interface LoadResult {
  readonly requests: number;
  readonly failures: readonly string[];
  /** Answers by the first word of their body. */
  readonly answers: ReadonlyMap<string, number>;
}

interface Exchange {
  received: string;
  settle: (outcome: { answer: string } | { failure: string }) => void;
}

const request = (keep: boolean) =>
  `GET / HTTP/1.1\r\nHost: load\r\nConnection: ${keep ? "keep-alive" : "close"}\r\n\r\n`;

/**
 * Asks an HTTP server on this machine without a pause (or with one of `pauseMs` after each answer), on `kept`
 * connections that live as long as the server lets them and `fresh` clients that open a new connection for each
 * request, until `stop` is called. `seen`: what it saw so far.
 */
export function startLoad(
  port: number,
  clients: { kept: number; fresh: number; pauseMs?: number },
): { seen(): LoadResult; stop(): Promise<LoadResult> } {
  let running = true;
  let requests = 0;
  const failures: string[] = [];
  const answers = new Map<string, number>();
  const count = (outcome: { answer: string } | { failure: string }): void => {
    requests += 1;
    if ("failure" in outcome) failures.push(outcome.failure);
    else answers.set(outcome.answer, (answers.get(outcome.answer) ?? 0) + 1);
  };
  const client = async (keep: boolean): Promise<void> => {
    let connection: Connection | null = null;
    while (running) {
      connection ??= await Connection.open(port).catch((error) => {
        count({ failure: `connect: ${error}` });
        return null;
      });
      if (connection === null) {
        // Whoever is to listen again needs the machine, too.
        await Bun.sleep(5);
        continue;
      }
      count(await connection.ask(request(keep)));
      if (clients.pauseMs !== undefined) await Bun.sleep(clients.pauseMs);
      // Not every server says that it closes.
      if (keep && !connection.closing) continue;
      connection.end();
      connection = null;
    }
    connection?.end();
  };
  const all = [...Array(clients.kept).fill(true), ...Array(clients.fresh).fill(false)].map(client);
  const seen = () => ({ requests, failures: [...failures], answers: new Map(answers) });
  return {
    seen,
    async stop() {
      running = false;
      await Promise.all(all);
      return seen();
    },
  };
}

/** One connection, one request at a time. */
class Connection {
  /** The server has said that it closes, or has closed. */
  closing = false;
  #socket: Socket<Exchange> | null = null;

  static async open(port: number): Promise<Connection> {
    const connection = new Connection();
    connection.#socket = await Bun.connect<Exchange>({
      hostname: "127.0.0.1",
      port,
      data: { received: "", settle: () => undefined },
      socket: {
        data(socket, bytes) {
          socket.data.received += bytes.toString("latin1");
          connection.#complete(socket.data);
        },
        close(socket) {
          connection.closing = true;
          socket.data.settle({ failure: `closed after ${socket.data.received.length} bytes` });
        },
        error(socket, error) {
          connection.closing = true;
          socket.data.settle({ failure: String(error) });
        },
      },
    });
    return connection;
  }

  ask(text: string): Promise<{ answer: string } | { failure: string }> {
    const socket = this.#socket;
    return new Promise((settle) => {
      if (socket === null) return settle({ failure: "not connected" });
      socket.data = { received: "", settle };
      socket.write(text);
    });
  }

  end(): void {
    this.#socket?.end();
  }

  #complete({ received, settle }: Exchange): void {
    const headEnd = received.indexOf("\r\n\r\n");
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1]);
    if (headEnd < 0 || received.length < headEnd + 4 + length) return;
    this.closing ||= /\r\nconnection: close/i.test(received.slice(0, headEnd));
    const answer = received.slice(headEnd + 4).split(" ")[0] ?? "";
    settle(received.startsWith("HTTP/1.1 200 ") ? { answer } : { failure: received.slice(0, 60) });
  }
}
