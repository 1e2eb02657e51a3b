import { readFileSync } from "node:fs";
import { ipv6Bytes, isIPv4 } from "./ip.ts";

/** A TCP socket that listens, as /proc/net/{tcp,tcp6} has it (proc(5)). */
export interface ListeningSocket {
  /** In hexadecimal, 32-bit words in the machine's byte order; 8 digits are IPv4, 32 are IPv6. */
  readonly address: string;
  readonly port: number;
  readonly inode: number;
}

const listening = "0A";

/** Those in the network of a process, `self` by default. Throws when the process is gone or there is no /proc. */
export function listeningSockets(pid: number | "self" = "self"): ListeningSocket[] {
  return [readFileSync(`/proc/${pid}/net/tcp`, "utf8"), readIfThere(`/proc/${pid}/net/tcp6`)].flatMap(
    parseSocketTable,
  );
}

/** A kernel without IPv6 has no table for it. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export function parseSocketTable(table: string): ListeningSocket[] {
  return table.split("\n").flatMap((line) => {
    const row = line.trim().split(/\s+/);
    const [address = "", port = ""] = row[1]?.split(":") ?? [];
    if (row[3] !== listening) return [];
    return [{ address, port: Number.parseInt(port, 16), inode: Number(row[9]) }];
  });
}

/** As the tables write an address: 32-bit words in the machine's byte order, which is little-endian. */
export function tableAddress(host: string): string {
  const bytes = isIPv4(host) ? host.split(".").map(Number) : ipv6Bytes(host);
  const words = Array.from({ length: bytes.length / 4 }, (_, word) => bytes.slice(word * 4, word * 4 + 4));
  const swapped = words.flatMap((word) => word.reverse());
  return swapped.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join("");
}

/** And, for an IPv4 one, as a dual-stack listener's table has it. */
export function tableAddresses(host: string): string[] {
  return isIPv4(host) ? [tableAddress(host), tableAddress(`::ffff:${host}`)] : [tableAddress(host)];
}
