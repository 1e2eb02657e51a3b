import type { Socket, TCPSocketConnectOptions, TCPSocketListenOptions } from "bun";
import { until } from "./until.ts";

/** How a connection's input ended, as its owner saw it. */
type Ending = "open" | "fin" | "closed" | "reset";

/** One end of a TCP connection, half-open allowed, that keeps what it saw. */
export class TcpPeer {
  socket: Socket<TcpPeer> | null = null;
  received = 0;
  readonly hash = new Bun.CryptoHasher("sha256");
  /** What came, unless it is only counted. */
  text = "";
  ending: Ending = "open";
  /** Its own end is over, however it came. */
  closed = false;
  readonly #queue: Uint8Array[] = [];
  #shutdownWhenEmpty = false;

  constructor(
    readonly keepText = true,
    readonly onData: (peer: TcpPeer, bytes: Uint8Array) => void = () => undefined,
  ) {}

  /** Queues what the kernel does not take at once. */
  send(bytes: Uint8Array | string): void {
    this.#queue.push(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    this.flush();
  }

  /** A FIN, after everything sent before. */
  finish(): void {
    this.#shutdownWhenEmpty = true;
    this.flush();
  }

  reset(): void {
    this.socket?.terminate();
  }

  /** Both halves at once. */
  close(): void {
    this.socket?.end();
  }

  pause(): void {
    this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  get unsent(): number {
    return this.#queue.reduce((sum, { length }) => sum + length, 0);
  }

  get digest(): string {
    return this.hash.copy().digest("hex");
  }

  flush(): void {
    while (this.socket !== null) {
      const chunk = this.#queue[0];
      if (chunk === undefined) break;
      const taken = this.socket.write(chunk);
      if (taken < chunk.length) {
        if (taken > 0) this.#queue[0] = chunk.subarray(taken);
        return;
      }
      this.#queue.shift();
    }
    if (this.#shutdownWhenEmpty && this.socket !== null) this.socket.shutdown();
  }

  until(what: string, ready: (peer: TcpPeer) => boolean, limitMs?: number): Promise<unknown> {
    return until(`${what} (got ${this.received} bytes, ${this.ending})`, () => ready(this), limitMs);
  }
}

const handlers = {
  data(socket: Socket<TcpPeer>, bytes: Uint8Array) {
    const peer = socket.data;
    peer.received += bytes.length;
    peer.hash.update(bytes);
    if (peer.keepText) peer.text += new TextDecoder("latin1").decode(bytes);
    peer.onData(peer, bytes);
  },
  drain(socket: Socket<TcpPeer>) {
    socket.data.flush();
  },
  end(socket: Socket<TcpPeer>) {
    socket.data.ending = "fin";
  },
  close(socket: Socket<TcpPeer>, error?: Error) {
    const peer = socket.data;
    if (error !== undefined) peer.ending = "reset";
    else if (peer.ending === "open") peer.ending = "closed";
    peer.closed = true;
    peer.socket = null;
  },
};

export interface PeerServer extends Disposable {
  readonly port: number;
  /** In the order they were accepted. */
  readonly peers: TcpPeer[];
  /** Of the listening socket. */
  readonly fd: number;
  /** Stops listening; whoever has a copy of its descriptor goes on. */
  pause(): void;
  /** Listens with a copy. */
  resume(fd: number): void;
  stop(): void;
}

export interface PeerServerOptions {
  readonly host?: string;
  readonly port?: number;
  readonly keepText?: boolean;
  readonly onOpen?: (peer: TcpPeer) => void;
  readonly onData?: (peer: TcpPeer, bytes: Uint8Array) => void;
}

/** A real listening socket whose connections are `TcpPeer`s. */
export function startPeerServer(options: PeerServerOptions = {}): PeerServer {
  const peers: TcpPeer[] = [];
  const listen: TCPSocketListenOptions<TcpPeer> = {
    hostname: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    allowHalfOpen: true,
    socket: {
      ...handlers,
      open(socket) {
        const peer = new TcpPeer(options.keepText ?? true, options.onData);
        peer.socket = socket;
        socket.data = peer;
        peers.push(peer);
        options.onOpen?.(peer);
      },
    },
  };
  let server = Bun.listen(listen);
  const { port } = server;
  const fd = "fd" in server && typeof server.fd === "number" ? server.fd : -1;
  const pause = () => server.stop();
  const resume = (copy: number) => {
    server = Bun.listen(Object.assign({}, listen, { fd: copy }));
  };
  const stop = () => {
    server.stop();
    for (const peer of peers) peer.reset();
  };
  return { port, peers, fd, pause, resume, stop, [Symbol.dispose]: stop };
}

export interface ConnectOptions {
  readonly host?: string;
  readonly keepText?: boolean;
  readonly onData?: (peer: TcpPeer, bytes: Uint8Array) => void;
}

export async function connectPeer(port: number, options: ConnectOptions = {}): Promise<TcpPeer> {
  const peer = new TcpPeer(options.keepText ?? true, options.onData);
  const target: TCPSocketConnectOptions<TcpPeer> = {
    hostname: options.host ?? "127.0.0.1",
    port,
    data: peer,
    allowHalfOpen: true,
    socket: handlers,
  };
  peer.socket = await Bun.connect(target);
  return peer;
}
