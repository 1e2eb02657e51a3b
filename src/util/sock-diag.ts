import { systemCode } from "../errors.ts";
import type { Address } from "./address.ts";
import {
  type DiagAnswer,
  type DiagSocket,
  listenersRequest,
  lookupRequest,
  readAnswer,
  TCP_LISTEN,
  TCP_TIME_WAIT,
} from "./inet-diag.ts";
import { AF_INET, AF_INET6, LibcError, lazily } from "./libc.ts";
import { NETLINK_SOCK_DIAG, type NetlinkSocket, openNetlink } from "./netlink.ts";
import { type ListeningSocket, listeningSockets } from "./socket-table.ts";

/** A TCP connection within this process's network: where it was made to, and from where. */
export interface Link {
  readonly server: Address;
  readonly caller: Address;
}

const ENOENT = 2;
/** Not every kernel has the module (ENOENT), and a sandbox may forbid the sockets: asking again is of no use. */
const refusals = new Set(["EPROTONOSUPPORT", "EAFNOSUPPORT", "EPERM", "EACCES", "ENOENT"]);
/** Of a dump; some 250,000 sockets. */
const maxParts = 1000;

/** What the kernel tells of this network's TCP sockets when it is asked for them, at a cost that does not grow with them. */
export class SockDiag {
  /**
   * Only a dump tells: without the module a lookup is ENOENT, as for a connection that is not there. What may be
   * better the next time, such as a lack of descriptors or memory, leaves it unknown.
   */
  #kernel: "unknown" | "answers" | "refuses" = "unknown";

  constructor(private readonly open: () => NetlinkSocket) {}

  /** null: it does not answer. */
  listening(): ListeningSocket[] | null {
    if (this.#kernel === "refuses") return null;
    const sockets = this.#told(dumpListening);
    if (sockets !== null) this.#kernel = "answers";
    return sockets;
  }

  /**
   * For each connection the inode of the server's end: 0 while nobody has accepted it; null: it is not there. null for
   * all: the kernel does not answer.
   */
  accepted(links: readonly Link[]): (number | null)[] | null {
    if (this.#kernel !== "answers" && this.listening() === null) return null;
    return this.#told((socket) => links.map((link, at) => lookUp(socket, link, at)));
  }

  #told<T>(ask: (socket: NetlinkSocket) => T): T | null {
    try {
      using socket = this.open();
      return ask(socket);
    } catch (error) {
      if (this.#kernel === "unknown" && refusals.has(systemCode(error) ?? "")) this.#kernel = "refuses";
      return null;
    }
  }
}

const kernel = lazily(() =>
  process.platform === "linux" ? new SockDiag(() => openNetlink(NETLINK_SOCK_DIAG)) : null,
);

/** What listens in this process's network. Throws when nothing tells. */
export function listeningHere(): ListeningSocket[] {
  return listeningByDiag() ?? listeningSockets();
}

/** As SockDiag. */
export function listeningByDiag(): ListeningSocket[] | null {
  return kernel()?.listening() ?? null;
}

/** As SockDiag. */
export function acceptedByDiag(links: readonly Link[]): (number | null)[] | null {
  return kernel()?.accepted(links) ?? null;
}

function dumpListening(socket: NetlinkSocket): ListeningSocket[] {
  const all = [AF_INET, AF_INET6].flatMap((family) => dump(socket, family));
  return all.map(({ address, port, inode }) => ({ address, port, inode }));
}

function dump(socket: NetlinkSocket, family: number): DiagSocket[] {
  const sockets: DiagSocket[] = [];
  const seq = family;
  socket.send(listenersRequest(seq, family));
  for (let parts = 0; parts < maxParts; parts++) {
    const part = receive(socket, seq);
    if (part.kind === "refused") throw new LibcError("sock_diag", part.errno);
    sockets.push(...part.sockets);
    if (part.isLast) return sockets;
  }
  throw new Error("a dump without an end");
}

/** In the place of a connection that is not there the kernel shows the listener that it would have come to. */
function lookUp(socket: NetlinkSocket, { server, caller }: Link, seq: number): number | null {
  socket.send(lookupRequest(seq, server, caller));
  const told = receive(socket, seq);
  if (told.kind === "refused" && told.errno === ENOENT) return null;
  const found = told.kind === "sockets" ? told.sockets[0] : undefined;
  if (found?.state === TCP_LISTEN || found?.state === TCP_TIME_WAIT) return null;
  if (found?.port !== server.port || found.remotePort !== caller.port) throw new Error("not what was asked");
  return found.inode;
}

function receive(socket: NetlinkSocket, seq: number): DiagAnswer {
  const answer = readAnswer(socket.receive(), seq);
  if (answer === null) throw new Error("not an answer");
  return answer;
}
