import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { addressBytes, isIPv4 } from "./ip.ts";

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

/** Of tables of megabytes only the rows that are wanted are taken apart. */
export function parseSocketTable(table: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  const state = ` ${listening} `;
  for (let at = table.indexOf(state); at >= 0; at = table.indexOf(state, at + 1)) {
    const end = table.indexOf("\n", at);
    const row = table
      .slice(table.lastIndexOf("\n", at) + 1, end < 0 ? undefined : end)
      .trim()
      .split(/\s+/);
    const [address = "", port = ""] = row[1]?.split(":") ?? [];
    if (row[3] !== listening) continue;
    sockets.push({ address, port: Number.parseInt(port, 16), inode: Number(row[9]) });
  }
  return sockets;
}

/**
 * The tables of TCP sockets in this process's network (proc(5)); null where there are none to read. On a busy host they
 * are megabytes and take the kernel a while.
 */
export async function readTcpTables(): Promise<string | null> {
  // A kernel without IPv6 has no table for it. A dual-stack listener's IPv4 callers are in that one only.
  const [tcp, tcp6] = await Promise.all(["tcp", "tcp6"].map((name) => textOf(`/proc/self/net/${name}`)));
  return tcp === null || tcp === undefined ? null : tcp + (tcp6 ?? "");
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return null;
  }
}

/** As the tables write an address. */
export function tableAddress(host: string): string {
  return wordsText(addressBytes(host));
}

/** 32-bit words in the machine's byte order, which is little-endian. */
export function wordsText(bytes: readonly number[]): string {
  const words = Array.from({ length: bytes.length / 4 }, (_, word) => bytes.slice(word * 4, word * 4 + 4));
  const swapped = words.flatMap((word) => word.reverse());
  return swapped.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join("");
}

/** And, for an IPv4 one, as a dual-stack listener's table has it. */
export function tableAddresses(host: string): string[] {
  return isIPv4(host) ? [tableAddress(host), tableAddress(`::ffff:${host}`)] : [tableAddress(host)];
}
