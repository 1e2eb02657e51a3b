import { FFIType, ptr } from "bun:ffi";
import { closeSync } from "node:fs";
import { systemCode } from "../errors.ts";
import { isIPv4 } from "../util/ip.ts";
import { AF_INET, AF_INET6, checked, lazily, load } from "../util/libc.ts";
import { ipv4Address, ipv6Address } from "../util/sockaddr.ts";

const SOCK_DGRAM = 2;
const { i32, u32, pointer } = FFIType;
const libc = lazily(() =>
  load({
    socket: { args: [i32, i32, i32], returns: i32 },
    connect: { args: [i32, pointer, u32], returns: i32 },
  } as const),
);

/** What this host or this process lacks, by the error in which it shows; no app brings them about at its own end. */
const lacks: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: "no local port or address is left to connect from (EADDRNOTAVAIL)",
  ENETUNREACH: "this host has no route there (ENETUNREACH)",
  EMFILE: "dewy has too many files open (EMFILE)",
  ENFILE: "this host has too many files open (ENFILE)",
  ENOBUFS: "this host lacks buffers (ENOBUFS)",
  ENOMEM: "this host lacks memory (ENOMEM)",
};

/** The lack that an error shows, for people; null: it may be anything else. */
export function lackIn(error: unknown): string | null {
  return lacks[systemCode(error) ?? ""] ?? null;
}

/**
 * Why nothing at `host` can be asked now, whatever listens there; null host: a unix socket. null: nothing is known to be
 * in the way. Bun calls a lack of descriptors and of a route ECONNREFUSED, so the kernel is asked: connect(2) of a
 * datagram socket sends nothing.
 */
export function hindranceTo(host: string | null): string | null {
  const isV4 = host === null || isIPv4(host);
  let fd: number | null = null;
  try {
    fd = checked("socket", libc().socket(isV4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0));
    if (host === null) return null;
    const address = isV4 ? ipv4Address(host, anyPort) : ipv6Address(host, anyPort);
    checked("connect", libc().connect(fd, ptr(address), address.byteLength));
    return null;
  } catch (error) {
    return lackIn(error);
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

/** The discard service's: a datagram socket must name one. */
const anyPort = 9;
