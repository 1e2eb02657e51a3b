import { closeSync, readFileSync } from "node:fs";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import {
  AF_INET,
  AF_INET6,
  bindSocket,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  setSocketOption,
  streamSocket,
} from "../util/libc.ts";
import { ipv4Address, ipv6Address } from "../util/sockaddr.ts";

interface Range {
  readonly first: number;
  readonly last: number;
}

/** Below are ports that people give to services by hand. */
const lowest = 10_000;
const highest = 65_535;
const enough = 1000;
/** Linux's default, where the host does not say. */
const usual: Range = { first: 32_768, last: 60_999 };

/**
 * Ports that the kernel gives to no outgoing connection: one of those might take an app's port in the moment before
 * the app listens on it. `ephemeral` as in ip_local_port_range (ip(7)); where it leaves too few, all will do.
 */
export function privateRanges(ephemeral: Range): readonly Range[] {
  const below = { first: lowest, last: Math.min(highest, ephemeral.first - 1) };
  const above = { first: Math.max(lowest, ephemeral.last + 1), last: highest };
  const ranges = [below, above].filter(({ first, last }) => first <= last);
  return sizeOf(ranges) >= enough ? ranges : [{ first: lowest, last: highest }];
}

/** Gives ports in turn, so that one that was just in use rests: its last connections may still hold it. */
export class PrivatePorts {
  readonly #ranges = privateRanges(ephemeralRange());
  #next: number;

  /** `avoid`: the proxy's own. Agents that start together begin at different places. */
  constructor(
    private readonly avoid: ReadonlySet<number>,
    start: number = Math.random(),
  ) {
    this.#next = Math.floor(start * sizeOf(this.#ranges));
  }

  /** One that is free now, and is none of `taken`. Fails with `engine-failed` when there is none. */
  take(taken: ReadonlySet<number>): number {
    const size = sizeOf(this.#ranges);
    for (let tries = 0; tries < size; tries++) {
      const port = portAt(this.#ranges, this.#next);
      this.#next = (this.#next + 1) % size;
      if (!this.avoid.has(port) && !taken.has(port) && isFree(port)) return port;
    }
    throw new DewyError("engine-failed", "no port is free for the app", {
      hint: "see what listens on this host: ss -ltnp",
    });
  }
}

function sizeOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

function portAt(ranges: readonly Range[], index: number): number {
  let rest = index;
  for (const { first, last } of ranges) {
    if (rest <= last - first) return first + rest;
    rest -= last - first + 1;
  }
  return lowest;
}

function ephemeralRange(): Range {
  const [first = Number.NaN, last = Number.NaN] = read("/proc/sys/net/ipv4/ip_local_port_range")
    .trim()
    .split(/\s+/)
    .map(Number);
  return first > 0 && last >= first ? { first, last } : usual;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // no /proc on this platform
  }
}

/**
 * Whether an app may have it, on whatever address and without SO_REUSEADDR: to such a one even an ended connection is in
 * the way for a minute. Only the kernel knows at a cost that does not grow with the host's sockets: it is asked as the
 * app will ask it.
 */
function isFree(port: number): boolean {
  try {
    return binds(AF_INET6, ipv6Address("::", port)) ?? binds(AF_INET, ipv4Address("0.0.0.0", port)) ?? false;
  } catch (error) {
    throw toDewyError(error, `try whether port ${port} is free`);
  }
}

/** null: there is no such family here. */
function binds(family: number, address: ArrayBuffer): boolean | null {
  let fd: number | null = null;
  try {
    fd = streamSocket(family);
    // An IPv6 socket that hears IPv4 as well collides with all of both.
    if (family === AF_INET6) setSocketOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    bindSocket(fd, address);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === "EADDRINUSE" || code === "EACCES") return false;
    if (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL") return null;
    throw error;
  } finally {
    if (fd !== null) closeSync(fd);
  }
}
