import { readdirSync, readlinkSync } from "node:fs";
import { systemCode } from "../errors.ts";
import { type ProcessStat, processIds, processStat } from "../util/procfs.ts";

/**
 * Who holds a socket: `own`: the generation that is asked for; `other`: another one; `nobody`: a stranger, or it is on
 * its way from one process to another; `untold`: this user may not look.
 */
export type Owner = "own" | "other" | "nobody" | "untold";

/**
 * Who of two families of processes holds a socket. Threads share their process's descriptors; a forked child, whatever
 * group it moved to, belongs to its parent's generation.
 */
export function ownerOf(inode: number, own: number, others: readonly number[]): Owner {
  const processes = processIds()
    .map(processStat)
    .filter((stat) => stat !== null);
  const heldByOwn = holds(inode, familyOf(own, processes));
  if (heldByOwn === "yes") return "own";
  if (heldByOwn === "untold") return "untold";
  const strangers = others.flatMap((pid) => familyOf(pid, processes));
  return holds(inode, strangers) === "yes" ? "other" : "nobody";
}

/** A process with all that has its session, its group or, up the line of parents, itself. */
export function familyOf(leader: number, processes: readonly ProcessStat[]): number[] {
  const members = new Set([leader]);
  for (const { pid, pgrp, session } of processes) if (pgrp === leader || session === leader) members.add(pid);
  for (let before = 0; before < members.size; ) {
    before = members.size;
    for (const { pid, ppid } of processes) if (members.has(ppid)) members.add(pid);
  }
  return [...members];
}

type Held = "yes" | "no" | "untold";

function holds(inode: number, pids: readonly number[]): Held {
  const looks = pids.map((pid) => holdsOne(inode, pid));
  if (looks.includes("yes")) return "yes";
  return looks.includes("untold") ? "untold" : "no";
}

function holdsOne(inode: number, pid: number): Held {
  const directory = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    // One that has ended holds nothing.
    return systemCode(error) === "EACCES" || systemCode(error) === "EPERM" ? "untold" : "no";
  }
  return names.some((name) => linkOf(`${directory}/${name}`) === `socket:[${inode}]`) ? "yes" : "no";
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null; // closed meanwhile
  }
}
