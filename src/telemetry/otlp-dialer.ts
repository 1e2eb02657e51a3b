import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type TLSSocket,
} from "node:tls";
import { ChannelCredentials, credentials } from "@grpc/grpc-js";
import { systemCode } from "../errors.ts";
import { isIPv4, isIPv6 } from "../util/ip.ts";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

export interface Dialing {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly tls: boolean;
  /** `SSL_CERT_FILE`: authorities to trust beside the system's. */
  readonly sslCertFile: string | undefined;
}

const handshakeMs = 10_000;

/**
 * TLS on the TCP connections that the gRPC library opens. In place of the library's own credentials, which forget why
 * a handshake failed, never give up a hanging one, and can't check the certificate of a server named by its address.
 */
export class OtlpDialer extends ChannelCredentials {
  readonly #sockets = new Set<Socket>();
  #tlsFailure: string | null = null;
  #closed = false;

  constructor(private readonly dialing: Dialing) {
    super();
  }

  /** The code of what kept the last connection from being trusted; null: nothing did. */
  get tlsFailure(): string | null {
    return this.#tlsFailure;
  }

  /** Breaks what is open or under way, so that nothing waits for it. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.dialing.tls;
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
    this.#tlsFailure = null;
    if (!this.dialing.tls) return { socket, secure: false };
    const tlsSocket = beginTls(socket, this.dialing);
    this.#tlsFailure = await handshake(tlsSocket);
    if (this.#tlsFailure !== null) throw new Error(`TLS failed (${this.#tlsFailure})`);
    return { socket: tlsSocket, secure: true };
  }

  #follow(socket: Socket): void {
    if (this.#closed) throw new Error("closed");
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Whoever reads it at the time hears of it too; without anybody it would end the process.
    socket.on("error", () => undefined);
  }
}

function beginTls(socket: Socket, { host, sslCertFile }: Dialing): TLSSocket {
  return connect({
    socket,
    // Read anew each time, so that a renewed authority needs no restart.
    secureContext: createSecureContext({ ca: trustedRoots(sslCertFile) }),
    ALPNProtocols: ["h2"],
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    // An address is no server name (RFC 6066 §3).
    ...(isIPv4(host) || isIPv6(host) ? {} : { servername: host }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
  });
}

/** null: the server is the one it should be, and speaks HTTP/2. */
function handshake(socket: TLSSocket): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const timer = setTimeout(() => resolve("no answer to the handshake"), handshakeMs);
  socket.once("secureConnect", () => resolve(socket.alpnProtocol === "h2" ? null : "no HTTP/2"));
  // Stays: a connection that breaks later must not end the process.
  socket.on("error", (error) => resolve(systemCode(error) ?? "unknown"));
  socket.once("close", () => resolve("closed"));
  return promise.finally(() => clearTimeout(timer));
}

/** Bun's own, the system's and those of the file, as fetch has them. */
function trustedRoots(sslCertFile: string | undefined): string[] {
  return [
    ...getCACertificates("bundled"),
    ...getCACertificates("system"),
    ...(sslCertFile ? certificatesIn(sslCertFile) : []),
  ];
}

/** The HTTP client warns of a file it can't read; the other authorities may do. */
function certificatesIn(path: string): readonly string[] {
  try {
    const pem = readFileSync(path, "latin1");
    return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  } catch {
    return [];
  }
}
