import type { Socket, TCPSocketListener } from "bun";
import type { PublishedPort } from "../../src/replicas/engine.ts";

/**
 * `serve`: HTTP 200; a number: that status; `mute`: accepts and says nothing; `close`: accepts and closes, as a
 * userland proxy without an app behind it; `garbage`: no HTTP; `refuse`: listens nowhere; `exit`, `missing`: does not
 * run at all.
 */
export type Behaviour = "serve" | number | "mute" | "close" | "garbage" | "refuse" | "exit" | "missing";

/** The app in a container, behind ports that the engine published. */
export class FakeApp {
  readonly #listeners: TCPSocketListener<undefined>[] = [];
  readonly #sockets = new Set<Socket<undefined>>();
  readonly published: readonly PublishedPort[];
  #behaviour: Behaviour;

  constructor(
    private readonly name: string,
    ports: readonly number[],
    behaviour: Behaviour,
  ) {
    this.#behaviour = behaviour;
    this.published = ports.map((appPort) => {
      const listener = this.#listen();
      const hostPort = listener.port;
      if (behaviour === "refuse") listener.stop(true);
      else this.#listeners.push(listener);
      return { appPort, hostIp: "127.0.0.1", hostPort };
    });
  }

  become(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  stop(): void {
    for (const listener of this.#listeners) listener.stop(true);
    for (const socket of this.#sockets) socket.terminate();
  }

  #listen(): TCPSocketListener<undefined> {
    return Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          this.#sockets.add(socket);
          if (this.#behaviour === "close" || this.#behaviour === "refuse") socket.end();
        },
        data: (socket) => this.#answer(socket),
        close: (socket) => void this.#sockets.delete(socket),
      },
    });
  }

  #answer(socket: Socket<undefined>): void {
    const behaviour = this.#behaviour;
    if (behaviour === "garbage") socket.end("220 mail.example ready\r\n");
    const status = behaviour === "serve" ? 200 : behaviour;
    if (typeof status !== "number") return;
    socket.end(
      `HTTP/1.1 ${status} X\r\nContent-Length: ${this.name.length}\r\nConnection: close\r\n\r\n${this.name}`,
    );
  }
}
