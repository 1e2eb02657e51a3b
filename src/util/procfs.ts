import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What /proc tells of processes and sockets (proc(5)). Null or empty where it can't tell: gone, or no rights. */
export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  readonly session: number;
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
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
  };
}

/** Changes at each boot, so that a recorded pid is never mistaken for one of an earlier boot. */
export function bootId(): string {
  return readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

/** ` by pid 7 (nginx)` for the processes that hold one of the sockets; empty where it can't be told. */
export function describeHolders(inodes: readonly number[]): string {
  if (inodes.length === 0) return "";
  const holders = holdersOf(inodes, processIds());
  if (holders.length === 0) return "";
  return ` by ${holders.map((pid) => `pid ${pid} (${commandName(pid)})`).join(", ")}`;
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

/** What a process has open, as absolute paths; sockets and the like are `socket:[…]`. */
export function openPaths(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return []; // closed in between
      }
    });
  } catch {
    return [];
  }
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

/**
 * Whom a process runs as; null where it is not one and the same in all respects: whoever starts a set-user-id program
 * chooses what it finds in its environment.
 */
export function processUser(pid: number): number | null {
  const line = /^Uid:(.*)$/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1] ?? "";
  const uids = new Set(line.trim().split(/\s+/).map(Number));
  const [uid] = uids;
  return uid === undefined || uids.size > 1 || line === "" ? null : uid;
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

/** The file a process runs. */
export function programOf(pid: number): string | null {
  return readLink(`/proc/${pid}/exe`);
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
