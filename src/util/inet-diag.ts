import type { Address } from "./address.ts";
import { addressBytes } from "./ip.ts";
import { AF_INET, AF_INET6 } from "./libc.ts";
import { wordsText } from "./socket-table.ts";

/**
 * Messages of NETLINK_SOCK_DIAG about TCP sockets: `struct nlmsghdr` (linux/netlink.h), then `struct inet_diag_req_v2`
 * or `struct inet_diag_msg` (linux/inet_diag.h; sock_diag(7)). Ports and addresses are in network byte order, all else
 * is in the machine's, which is little-endian.
 */
export interface DiagSocket {
  /** As in linux/tcp.h; 10 listens. */
  readonly state: number;
  readonly port: number;
  /** As the tables of /proc write it. */
  readonly address: string;
  readonly remotePort: number;
  /** 0: no process has it open. */
  readonly inode: number;
}

export type DiagAnswer =
  | { readonly kind: "sockets"; readonly sockets: readonly DiagSocket[]; readonly isLast: boolean }
  | { readonly kind: "refused"; readonly errno: number };

export const TCP_LISTEN = 10;
export const TCP_TIME_WAIT = 6;

const requestBytes = 72;
const SOCK_DIAG_BY_FAMILY = 20;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_MULTI = 2;
const NLM_F_DUMP = 0x300;
const IPPROTO_TCP = 6;
const INET_DIAG_NOCOOKIE = 0xffff_ffff;
const headBytes = 16;
const socketBytes = 72;

/** For the one socket with `server` as its own end and `caller` as the other. */
export function lookupRequest(seq: number, server: Address, caller: Address): ArrayBuffer {
  const source = lookupBytes(server.host);
  const view = request(seq, { flags: 0, family: source.length === 4 ? AF_INET : AF_INET6, states: -1 });
  view.setUint16(24, server.port);
  view.setUint16(26, caller.port);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(source, 28);
  bytes.set(lookupBytes(caller.host), 44);
  view.setUint32(64, INET_DIAG_NOCOOKIE, true);
  view.setUint32(68, INET_DIAG_NOCOOKIE, true);
  return view.buffer;
}

/** The kernel finds a dual-stack listener's IPv4 callers as IPv4, and before Linux 4.5 in no other way. */
function lookupBytes(host: string): number[] {
  const bytes = addressBytes(host);
  const isMapped = bytes.slice(0, 12).every((byte, at) => byte === (at < 10 ? 0 : 0xff));
  return bytes.length > 4 && isMapped ? bytes.slice(12) : bytes;
}

/** For all sockets of a family that listen. */
export function listenersRequest(seq: number, family: number): ArrayBuffer {
  return request(seq, { flags: NLM_F_DUMP, family, states: 1 << TCP_LISTEN }).buffer;
}

function request(
  seq: number,
  { flags, family, states }: { flags: number; family: number; states: number },
): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(requestBytes));
  view.setUint32(0, requestBytes, true);
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  view.setUint16(6, NLM_F_REQUEST | flags, true);
  view.setUint32(8, seq, true);
  view.setUint8(16, family);
  view.setUint8(17, IPPROTO_TCP);
  view.setInt32(20, states, true);
  return view;
}

/** One datagram of the answer to request `seq`; null: it is none. */
export function readAnswer(bytes: Uint8Array, seq: number): DiagAnswer | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sockets: DiagSocket[] = [];
  for (let at = 0; at + headBytes <= bytes.length; ) {
    const length = view.getUint32(at, true);
    const end = at + length;
    if (length < headBytes + 4 || end > bytes.length || view.getUint32(at + 8, true) !== seq) return null;
    const type = view.getUint16(at + 4, true);
    const code = view.getInt32(at + headBytes, true);
    if (code < 0 && (type === NLMSG_ERROR || type === NLMSG_DONE)) return { kind: "refused", errno: -code };
    if (type === NLMSG_DONE) return { kind: "sockets", sockets, isLast: true };
    if (type !== SOCK_DIAG_BY_FAMILY || length < headBytes + socketBytes) return null;
    sockets.push(socketAt(view, at + headBytes));
    if ((view.getUint16(at + 6, true) & NLM_F_MULTI) === 0) return { kind: "sockets", sockets, isLast: true };
    at += (length + 3) & ~3;
  }
  return sockets.length === 0 ? null : { kind: "sockets", sockets, isLast: false };
}

function socketAt(view: DataView, at: number): DiagSocket {
  const addressAt = at + 8;
  const size = view.getUint8(at) === AF_INET ? 4 : 16;
  const address = Array.from({ length: size }, (_, byte) => view.getUint8(addressAt + byte));
  return {
    state: view.getUint8(at + 1),
    port: view.getUint16(at + 4),
    address: wordsText(address),
    remotePort: view.getUint16(at + 6),
    inode: view.getUint32(at + 68, true),
  };
}
