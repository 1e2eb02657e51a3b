import { closeSync, readlinkSync } from "node:fs";
import { join, sep } from "node:path";
import { generationVariable, portVariable, rehearsalVariable, rootVariable } from "../process/environment.ts";
import { mayBeApp } from "../process/owner.ts";
import { type ProcessTarget, processIsAlive } from "../process/process.ts";
import { pidfdGetfd, pidfdOpen } from "../util/libc.ts";
import {
  descriptorOf,
  environment,
  holdersOf,
  processGroup,
  processIds,
  processStat,
  workingDirectory,
} from "../util/procfs.ts";
import type { User } from "../util/user.ts";
import { type ListenSpec, listenName } from "./listen-spec.ts";
import { Listener } from "./listener.ts";
import { inodesAt, listeningInodes } from "./listening.ts";
import type { RecordedGeneration, SupervisorRecord } from "./record.ts";

/** Whose runs are looked for. */
export interface AppPlace {
  readonly root: string;
  /** Whom the app runs as; null: as the agent. */
  readonly user: User | null;
}

/** A run of the app whose agent is gone. */
export interface Orphan extends ProcessTarget {
  readonly number: number;
  readonly release: string | null;
}

/** The recorded generations that still live, oldest first. */
export function recordedOrphans(record: SupervisorRecord, place: AppPlace): Orphan[] {
  return record.generations.flatMap((generation) => {
    const found = generation.pid === null ? findSpawned(generation, place) : generation;
    if (found.pid === null || found.startTicks === null) return [];
    if (!processIsAlive(found.pid, found.startTicks)) return [];
    const { pid, startTicks } = found;
    return [{ ...generation, pid, startTicks, leadsGroup: true, root: place.root }];
  });
}

/** The agent died between spawn and the note of the pid: the child carries its marks in its environment. */
function findSpawned(
  generation: RecordedGeneration,
  place: AppPlace,
): Pick<RecordedGeneration, "pid" | "startTicks"> {
  const found = spawnedOrphans(place).find(({ number }) => number === generation.number);
  return found ?? { pid: null, startTicks: null };
}

/**
 * The apps that an agent of this directory left, by the marks in their environment, oldest generation first. What
 * an app put in a group of its own inherits them: of each generation the first process is the app.
 */
export function spawnedOrphans({ root, user }: AppPlace): Orphan[] {
  const found = new Map<number, Orphan>();
  for (const pid of processIds()) {
    const stat = processStat(pid);
    if (stat?.pgrp !== pid || stat.state === "Z" || pid === process.pid) continue;
    const env = environment(pid);
    const number = Number(env.get(generationVariable));
    if (env.get(rootVariable) !== root || !Number.isInteger(number) || !mayBeApp(pid, user)) continue;
    // It has no listener of the app's, and the number of the generation that was to come.
    if (env.has(rehearsalVariable)) continue;
    const { startTicks } = stat;
    if ((found.get(number)?.startTicks ?? Number.POSITIVE_INFINITY) <= startTicks) continue;
    found.set(number, { number, pid, startTicks, release: releaseOf(pid, root), leadsGroup: true, root });
  }
  return [...found.values()].toSorted((a, b) => a.number - b.number);
}

/**
 * An app that another supervisor of the same protocol started from this directory and left running when it
 * ended. All holders of the port must be such apps: with its supervisor alive the port is simply in use.
 */
export function foreignOrphan(listen: readonly ListenSpec[], { root, user }: AppPlace): Orphan | null {
  const inodes = listen.flatMap((spec) => listeningInodes(spec));
  const holders = holdersOf(inodes, processIds());
  const isApp = (pid: number) => startedFrom(pid, root) && mayBeApp(pid, user);
  if (holders.length === 0 || !holders.every(isApp)) return null;
  const top = holders.find((pid) => !holders.includes(processStat(pid)?.ppid ?? 0));
  const stat = top === undefined ? null : processStat(top);
  if (stat === null) return null;
  const number = Number(environment(stat.pid).get(generationVariable) ?? 1);
  const { pid, startTicks } = stat;
  return { number, pid, startTicks, release: releaseOf(pid, root), leadsGroup: stat.pgrp === pid, root };
}

function startedFrom(pid: number, root: string): boolean {
  const inRoot = workingDirectory(pid) === root || releaseOf(pid, root) !== null;
  return inRoot && environment(pid).has(portVariable);
}

/** The release directory a process's program lies in. */
function releaseOf(pid: number, root: string): string | null {
  try {
    const program = readlinkSync(`/proc/${pid}/exe`);
    const releases = join(root, "releases") + sep;
    return program.startsWith(releases) ? (program.slice(releases.length).split(sep)[0] ?? null) : null;
  } catch {
    return null;
  }
}

/**
 * Takes a listener back from a running app with pidfd_getfd(2), whichever member of its group holds it. null when
 * none does, or this user may not (it needs ptrace rights).
 */
export function takeListener(
  spec: ListenSpec,
  orphan: Orphan,
  record: SupervisorRecord | null,
): Listener | null {
  const recorded = record?.listeners.find((listener) => listener.name === listenName(spec));
  const inodes = recorded === undefined ? inodesAt(spec) : [recorded.inode];
  for (const pid of membersOf(orphan)) {
    for (const inode of inodes) {
      const fd = descriptorOf(pid, inode);
      const taken = fd === null ? null : copyDescriptor(pid, fd);
      if (taken !== null) return new Listener(spec, taken);
    }
  }
  return null;
}

/** Whether it listens on the port, on whatever address. */
export function holdsPort(spec: ListenSpec, orphan: Orphan): boolean {
  return holdersOf(listeningInodes(spec), membersOf(orphan)).length > 0;
}

function membersOf(orphan: Orphan): number[] {
  return orphan.leadsGroup ? [orphan.pid, ...processGroup(orphan.pid)] : [orphan.pid];
}

function copyDescriptor(pid: number, fd: number): number | null {
  try {
    const pidfd = pidfdOpen(pid);
    try {
      return pidfdGetfd(pidfd, fd);
    } finally {
      closeSync(pidfd);
    }
  } catch {
    return null; // no rights, or gone: the caller stops the app and binds anew
  }
}
