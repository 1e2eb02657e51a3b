import type { Call } from "../util/async.ts";
import { environment, processGroup, processStat } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";
import { rootVariable } from "./environment.ts";

/** How a process ended; both null when it was not our child and can't be asked. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** With its start, a pid names one process for as long as the machine is up. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: number;
}

/** A process that was started, and whether it leads a group of its own that may be signalled as a whole. */
export interface ProcessTarget extends ProcessIdentity {
  readonly leadsGroup: boolean;
  /** The agent's directory, which is in the environment of what it started. */
  readonly root: string;
  /** Members of the group when its leader ended: some programs overwrite their environment. */
  readonly left?: readonly ProcessIdentity[];
}

export function describeExit(exit: Exit): string {
  if (exit.signal !== null) return `was killed by ${exit.signal}`;
  return exit.code === null ? "ended" : `exited with code ${exit.code}`;
}

/** Polls a process that is no child of ours until it is gone; a pid given to another process is gone too. */
export async function watchProcess(pid: number, startTicks: number, clock: Clock): Promise<Exit> {
  const untilGone = new AbortController().signal;
  while (processIsAlive(pid, startTicks)) await clock.sleep(100, untilGone);
  return { code: null, signal: null };
}

export function processIsAlive(pid: number, startTicks: number): boolean {
  const stat = processStat(pid);
  return stat !== null && stat.startTicks === startTicks && stat.state !== "Z";
}

/** Who is in a group, but for zombies. */
export function groupMembers(pgrp: number): ProcessIdentity[] {
  return processGroup(pgrp).flatMap((pid) => {
    const startTicks = processStat(pid)?.startTicks;
    return startTicks === undefined ? [] : [{ pid, startTicks }];
  });
}

/**
 * Ends a process with its group: SIGTERM, then SIGKILL to what is left after `timeoutMs` or when `c` aborts. The
 * leader may leave members behind, so the group must be empty. Resolves to whether SIGKILL was needed.
 */
export async function stopProcess(
  target: ProcessTarget,
  timeoutMs: number,
  clock: Clock,
  c: Call,
): Promise<{ killed: boolean }> {
  const deadline = clock.monotonicMs() + timeoutMs;
  const remains = new Remains(target);
  if (remains.areThere()) signalProcess(target, "SIGTERM");
  while (remains.areThere()) {
    if (c.signal.aborted || clock.monotonicMs() >= deadline) {
      signalProcess(target, "SIGKILL");
      await untilReaped(remains, clock);
      return { killed: true };
    }
    await clock.sleep(20, c.signal).catch(() => undefined);
  }
  return { killed: false };
}

/** SIGKILL needs no more than the kernel's time, unless a member hangs in it: that one is left after 5 s. */
async function untilReaped(remains: Remains, clock: Clock): Promise<void> {
  const { signal } = new AbortController();
  for (let tries = 0; tries < 250 && remains.areThere(); tries++) await clock.sleep(20, signal);
}

function signalProcess({ pid, leadsGroup }: ProcessTarget, signal: NodeJS.Signals): void {
  try {
    process.kill(leadsGroup ? -pid : pid, signal);
  } catch {
    // ESRCH: it is gone already, which is what the signal was for
  }
}

/**
 * What there still is of a process and its group. To be looked at before each signal: once all of them are gone the
 * number may be given to somebody else, who must get none.
 */
class Remains {
  #wereThere = false;

  constructor(private readonly target: ProcessTarget) {}

  areThere(): boolean {
    this.#wereThere = process.platform === "linux" ? this.#look() : this.#answer();
    return this.#wereThere;
  }

  #look(): boolean {
    const { pid, startTicks, leadsGroup } = this.target;
    const leader = processStat(pid);
    // No number is given away while a group has it.
    if (leader !== null && leader.startTicks !== startTicks) return false;
    // A zombie nobody has reaped yet is nothing to wait for.
    if (leader !== null && leader.state !== "Z") return true;
    const members = leadsGroup ? groupMembers(pid) : [];
    if (members.length === 0) return false;
    return leader !== null || this.#wereThere || members.some((member) => this.#isOurs(member));
  }

  #isOurs({ pid, startTicks }: ProcessIdentity): boolean {
    const { left = [], root } = this.target;
    const wasThere = left.some((one) => one.pid === pid && one.startTicks === startTicks);
    return wasThere || environment(pid).get(rootVariable) === root;
  }

  #answer(): boolean {
    const { pid, leadsGroup } = this.target;
    try {
      return process.kill(leadsGroup ? -pid : pid, 0);
    } catch {
      return false;
    }
  }
}
