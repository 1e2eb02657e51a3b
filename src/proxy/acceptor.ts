import { closeSync } from "node:fs";
import type { SocketHandler, TCPSocketListener, TCPSocketListenOptions } from "bun";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import { addressText } from "../util/address.ts";
import { duplicate, listenSocket, SOL_SOCKET, setSocketOption } from "../util/libc.ts";
import { describeHolders } from "../util/procfs.ts";
import { listeningHere } from "../util/sock-diag.ts";
import { descriptorOf } from "./descriptors.ts";
import type { End } from "./link.ts";
import type { ProxyListen } from "./options.ts";

const darwin = process.platform === "darwin";
const SO_KEEPALIVE = darwin ? 8 : 9;
const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = darwin ? 0x10 : 4;
const keepAliveSeconds = 60;
/** The kernel cuts it to net.core.somaxconn; Bun asks for 512. */
const backlog = 4096;

type Listener = TCPSocketListener<End>;

/**
 * A listening socket that can stop accepting without refusing. Bun's listener has no such state: closing the only
 * descriptor resets whoever waits in the kernel's backlog, and one left without descriptors spins at full CPU. So the
 * socket has a descriptor of its own, and Bun gets a copy for as long as connections are wanted.
 */
export class Acceptor {
  #listener: Listener | null;

  private constructor(
    readonly listen: ProxyListen,
    private readonly socket: SocketHandler<End>,
    /** Owned; a successor can be given a copy. */
    readonly fd: number,
    listener: Listener | null,
  ) {
    this.#listener = listener;
  }

  /** `port-in-use` names the port and, where it can be told, who has it. */
  static open(listen: ProxyListen, socket: SocketHandler<End>): Acceptor {
    const { fd, listener } =
      listen.fd === undefined ? made(listen, socket) : { fd: listen.fd, listener: null };
    listenSocket(fd, backlog);
    // Accepted sockets inherit both: a peer that vanished without a word is found out.
    setSocketOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    setSocketOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepAliveSeconds);
    const acceptor = new Acceptor(listen, socket, fd, listener);
    if (!acceptor.resume()) throw noDescriptor(listen);
    return acceptor;
  }

  /** Takes effect at once, even in the middle of a batch of new connections; the rest waits in the backlog. */
  pause(): void {
    this.#listener?.stop();
    this.#listener = null;
  }

  /** False when there is no descriptor for it. */
  resume(): boolean {
    if (this.#listener !== null) return true;
    const fd = duplicate(this.fd);
    if (fd === null) return false;
    try {
      this.#listener = Bun.listen(Object.assign(optionsFor("", 0, this.socket), { fd }));
      return true;
    } catch {
      closeSync(fd);
      return false; // whoever paused it tries again
    }
  }

  /** Ends it for good; connections that nobody accepted are reset. */
  close(): void {
    this.pause();
    closeSync(this.fd);
  }
}

/** Given an `fd`, which the types leave out as well as `ipv6Only`, Bun looks at neither address nor port. */
function optionsFor(hostname: string, port: number, socket: SocketHandler<End>): TCPSocketListenOptions<End> {
  return { hostname, port, socket, allowHalfOpen: true };
}

function made(
  listen: ProxyListen,
  socket: SocketHandler<End>,
): { readonly fd: number; readonly listener: Listener } {
  const listener = bound(listen, socket);
  const fd = duplicate(descriptorOf(listener) ?? -1);
  if (fd !== null) return { fd, listener };
  listener.stop();
  throw noDescriptor(listen);
}

function noDescriptor({ port }: ProxyListen): DewyError {
  return new DewyError("internal", `listen on port ${port}: no descriptor is left`);
}

function bound(listen: ProxyListen, socket: SocketHandler<End>): Listener {
  try {
    if (listen.host === null) return boundToAll(listen.port, socket);
    const options = optionsFor(listen.host, listen.port, socket);
    return Bun.listen(Object.assign(options, { ipv6Only: listen.host.includes(":") }));
  } catch (error) {
    throw listenError(listen, error);
  }
}

/** One socket for IPv4 and IPv6; where IPv6 is off, IPv4 alone. */
function boundToAll(port: number, socket: SocketHandler<End>): Listener {
  try {
    return Bun.listen(optionsFor("::", port, socket));
  } catch (error) {
    const code = systemCode(error);
    if (code === "EADDRINUSE" || code === "EACCES") throw error;
    return Bun.listen(optionsFor("0.0.0.0", port, socket));
  }
}

function listenError(listen: ProxyListen, error: unknown): DewyError {
  const { host, port } = listen;
  const name = host === null ? String(port) : addressText({ host, port });
  switch (systemCode(error)) {
    case "EADDRINUSE":
      return new DewyError("port-in-use", `port ${name} is in use${holdersOfPort(port)}`, {
        cause: error,
        hint: "stop the process that listens there, or give dewy another --port",
      });
    case "EACCES":
      return new DewyError("config-invalid", `port ${name}: this user may not listen there`, {
        cause: error,
        hint: "ports below 1024 need root or CAP_NET_BIND_SERVICE",
      });
    case "EADDRNOTAVAIL":
      return new DewyError("config-invalid", `port ${name}: this host has no such address`, {
        cause: error,
        hint: "give an address of this host, or leave it out to listen on all",
      });
    default:
      return toDewyError(error, `listen on port ${name}`);
  }
}

function holdersOfPort(port: number): string {
  try {
    const listeners = listeningHere().filter((each) => each.port === port);
    return describeHolders(listeners.map(({ inode }) => inode));
  } catch {
    return ""; // no /proc on this platform
  }
}
