import { readFileSync } from "node:fs";
import { listeningHere } from "../util/sock-diag.ts";
import { tableAddress } from "../util/socket-table.ts";
import type { ListenSpec } from "./listen-spec.ts";

/** The inodes of the sockets that listen exactly where `spec` says. */
export function inodesAt(spec: ListenSpec): number[] {
  return spec.kind === "unix" ? listeningInodes(spec) : listeningInodes(spec, hexAddresses(spec.host));
}

/** Those that listen on its port, whatever their address, or on one of `addresses`: they may keep it from binding. */
export function listeningInodes(spec: ListenSpec, addresses?: readonly string[]): number[] {
  try {
    if (spec.kind === "unix") return unixInodes(spec.path);
    return listeningHere()
      .filter(({ port, address }) => port === spec.port && (addresses?.includes(address) ?? true))
      .map(({ inode }) => inode);
  } catch {
    return []; // no /proc on this platform
  }
}

/** Rows of /proc/net/unix (proc(5)); state 01 is a socket that listens. */
function unixInodes(path: string): number[] {
  const rows = readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  return rows.filter((row) => row[7] === path && row[5] === "01").map((row) => Number(row[6]));
}

function hexAddresses(host: string | null): string[] {
  return host === null ? ["0".repeat(32), "0".repeat(8)] : [tableAddress(host)];
}
