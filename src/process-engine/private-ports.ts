import { readFileSync } from "node:fs";
import { DewyError } from "../errors.ts";
import { readTcpTables } from "../util/socket-table.ts";

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
  async take(taken: ReadonlySet<number>): Promise<number> {
    const tables = (await readTcpTables()) ?? "";
    const size = sizeOf(this.#ranges);
    for (let tries = 0; tries < size; tries++) {
      const port = portAt(this.#ranges, this.#next);
      this.#next = (this.#next + 1) % size;
      if (!this.avoid.has(port) && !taken.has(port) && !isBound(port, tables) && canListen(port)) return port;
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

/**
 * By a socket of whatever state: an app that does not set SO_REUSEADDR is kept out by an ended connection, too. One to
 * that port of another host counts as well: there are others.
 */
function isBound(port: number, tables: string): boolean {
  return tables.includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} `);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // no /proc on this platform
  }
}

/** What the tables do not show: a port in another's hands that this user may not see, or may not use. */
function canListen(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
