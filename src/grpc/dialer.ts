import type { Socket } from "node:net";
import { checkServerIdentity, connect, type SecureContext, type TLSSocket } from "node:tls";
import { ChannelCredentials, credentials } from "@grpc/grpc-js";
import { systemCode } from "../errors.ts";
import { isIPv4, isIPv6 } from "../util/ip.ts";
import type { DialFailure } from "./dial-failure.ts";
import { type Tunnel, tunnelThrough } from "./tunnel.ts";

export interface Dialing {
  /** null: no TLS. `context` is asked for each connection; `serverName` may be an address, IPv6 without brackets. */
  readonly tls: { readonly context: () => SecureContext; readonly serverName: string } | null;
  /** A handshake that takes longer is given up; null: the caller closes what hangs. */
  readonly handshakeMs: number | null;
  /** null: straight to the server. */
  readonly tunnel: Tunnel | null;
}

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

const keepAliveMs = 30_000;

/**
 * Makes a gRPC connection of a TCP connection that the library opened: through the proxy, then TLS. In place of the
 * library's own credentials, which forget why a handshake failed, never give up a hanging one, can't check the
 * certificate of a server named by its address (Bun sends no such name), and read proxies from lower-case variables
 * of the process only.
 */
export class Dialer extends ChannelCredentials {
  readonly #sockets = new Set<Socket>();
  #failure: DialFailure | null = null;
  #connected = false;
  #closed = false;

  constructor(private readonly dialing: Dialing) {
    super();
  }

  /** Why the last connection did not come about; null where the library itself knows. */
  get failure(): DialFailure | null {
    return this.#failure;
  }

  /** Whether there has been a connection up to the server's own protocol. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Breaks what is open or under way; the library would leave a hanging handshake open for ever. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.dialing.tls !== null;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    return {
      connect: async (socket) => {
        try {
          return await this.#connect(socket);
        } catch (error) {
          socket.destroy();
          throw error;
        }
      },
      waitForReady: async () => undefined,
      getCallCredentials: () => credentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  async #connect(socket: Socket): Promise<{ readonly socket: Socket; readonly secure: boolean }> {
    this.#follow(socket);
    socket.setKeepAlive(true, keepAliveMs);
    const { tls, tunnel, handshakeMs } = this.dialing;
    this.#failure = null;
    if (tunnel !== null) this.#check(await tunnelThrough(socket, tunnel));
    if (tls === null) {
      this.#connected = true;
      return { socket, secure: false };
    }
    const tlsSocket = beginTls(socket, tls.context(), tls.serverName);
    this.#check(await handshake(tlsSocket, handshakeMs));
    this.#connected = true;
    return { socket: tlsSocket, secure: true };
  }

  #check(failure: DialFailure | null): void {
    this.#failure = failure;
    if (failure !== null) throw new Error("the connection did not come about");
  }

  #follow(socket: Socket): void {
    if (this.#closed) throw new Error("closed");
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Whoever reads it at the time hears of it too; without anybody it would end the process.
    socket.on("error", () => undefined);
  }
}

function beginTls(socket: Socket, context: SecureContext, name: string): TLSSocket {
  return connect({
    socket,
    secureContext: context,
    ALPNProtocols: ["h2"],
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    // An address is no server name (RFC 6066 §3).
    ...(isIPv4(name) || isIPv6(name) ? {} : { servername: name }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
  });
}

/** null: the server is the one it should be, and speaks HTTP/2. */
function handshake(socket: TLSSocket, limitMs: number | null): Promise<DialFailure | null> {
  const { promise, resolve } = Promise.withResolvers<DialFailure | null>();
  const fail = (code: string) => resolve({ kind: "tls", code });
  const timer = limitMs === null ? undefined : setTimeout(() => fail("NO_ANSWER"), limitMs);
  socket.once("secureConnect", () => {
    if (socket.alpnProtocol === "h2") resolve(null);
    else fail("NO_H2");
  });
  // Stays: a connection that breaks later must not end the process.
  socket.on("error", (error) => fail(codeOf(error)));
  socket.once("close", () => fail("closed"));
  return promise.finally(() => clearTimeout(timer));
}

function codeOf(error: unknown): string {
  return systemCode(error) ?? String(error);
}
