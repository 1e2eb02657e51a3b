import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { ipv6Bytes, isIPv4 } from "../util/ip.ts";
import type { ListenSpec } from "./listen-spec.ts";

/** What /proc tells of processes and sockets (proc(5)). Null or empty where it can't tell: gone, or no rights. */
export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  /** Clock ticks after boot: with the pid, it names a process for as long as the machine is up. */
  readonly startTicks: number;
}

export function processStat(pid: number): ProcessStat | null {
  const text = readText(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The command's name, in parentheses, may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    pgrp: Number(fields[2]),
    startTicks: Number(fields[19]),
  };
}

/** Changes at each boot, so that a recorded pid is never mistaken for one of an earlier boot. */
export function bootId(): string {
  return readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

/** Which of the processes hold one of the sockets. */
export function holdersOf(inodes: readonly number[], pids: readonly number[]): number[] {
  return pids.filter((pid) => inodes.some((inode) => descriptorOf(pid, inode) !== null));
}

/** How long ago a process was started; /proc counts in hundredths of a second since the boot. */
export function processAgeMs(startTicks: number): number {
  const sinceBootMs = Number(readText("/proc/uptime")?.split(" ")[0] ?? 0) * 1000;
  return Math.max(0, sinceBootMs - startTicks * 10);
}

export function processIds(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return []; // no /proc on this platform
  }
}

export function processGroup(pgrp: number): number[] {
  return processIds().filter((pid) => {
    const stat = processStat(pid);
    return stat?.pgrp === pgrp && stat.state !== "Z";
  });
}

/** The environment a process was started with. */
export function environment(pid: number): Map<string, string> {
  const pairs = (readText(`/proc/${pid}/environ`) ?? "").split("\0").filter((pair) => pair.includes("="));
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

export function commandName(pid: number): string {
  return readText(`/proc/${pid}/comm`)?.trim() ?? "?";
}

export function workingDirectory(pid: number): string | null {
  return readLink(`/proc/${pid}/cwd`);
}

/** The descriptor under which a process holds a socket; null when it holds none. */
export function descriptorOf(pid: number, inode: number): number | null {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return null; // gone, or not ours to look at
  }
  const found = names.find((name) => readLink(`/proc/${pid}/fd/${name}`) === `socket:[${inode}]`);
  return found === undefined ? null : Number(found);
}

/** The inodes of the sockets that listen exactly where `spec` says, from /proc/net/{tcp,tcp6,unix}. */
export function inodesAt(spec: ListenSpec): number[] {
  return spec.kind === "unix" ? listeningInodes(spec) : listeningInodes(spec, hexAddresses(spec.host));
}

/** Those that listen on its port, whatever their address, or on one of `addresses`: they may keep it from binding. */
export function listeningInodes(spec: ListenSpec, addresses?: readonly string[]): number[] {
  if (spec.kind === "unix") {
    const rows = rowsOf("/proc/net/unix").filter((row) => row[7] === spec.path && row[5] === "01");
    return rows.map((row) => Number(row[6]));
  }
  const suffix = `:${spec.port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = [...rowsOf("/proc/net/tcp"), ...rowsOf("/proc/net/tcp6")];
  const listening = "0A";
  const matches = (local = "") =>
    local.endsWith(suffix) && (addresses?.includes(local.slice(0, -suffix.length)) ?? true);
  return rows.filter((row) => matches(row[1]) && row[3] === listening).map((row) => Number(row[9]));
}

/** As /proc/net writes them: 32-bit words in the machine's byte order, which is little-endian. */
function hexAddresses(host: string | null): string[] {
  if (host === null) return ["0".repeat(32), "0".repeat(8)];
  const bytes = isIPv4(host) ? host.split(".").map(Number) : ipv6Bytes(host);
  const words = Array.from({ length: bytes.length / 4 }, (_, word) => bytes.slice(word * 4, word * 4 + 4));
  const swapped = words.flatMap((word) => word.reverse());
  return [swapped.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join("")];
}

function rowsOf(path: string): string[][] {
  const lines = (readText(path) ?? "").split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/));
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null; // the process may have ended meanwhile
  }
}

function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
