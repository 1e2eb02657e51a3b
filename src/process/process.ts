import type { Call } from "../util/async.ts";
import { processGroup, processStat } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";

/** How a process ended; both null when it was not our child and can't be asked. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A running process, and whether it leads a group of its own that may be signalled as a whole. */
export interface ProcessTarget {
  readonly pid: number;
  readonly leadsGroup: boolean;
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
  signalProcess(target, "SIGTERM");
  while (isAlive(target)) {
    if (c.signal.aborted || clock.monotonicMs() >= deadline) {
      signalProcess(target, "SIGKILL");
      await untilReaped(target, clock);
      return { killed: true };
    }
    await clock.sleep(20, c.signal).catch(() => undefined);
  }
  return { killed: false };
}

/** SIGKILL needs no more than the kernel's time, unless a member hangs in it: that one is left after 5 s. */
async function untilReaped(target: ProcessTarget, clock: Clock): Promise<void> {
  const { signal } = new AbortController();
  for (let tries = 0; tries < 250 && isAlive(target); tries++) await clock.sleep(20, signal);
}

export function signalProcess(target: ProcessTarget, signal: NodeJS.Signals): void {
  try {
    process.kill(target.leadsGroup ? -target.pid : target.pid, signal);
  } catch {
    // ESRCH: it is gone already, which is what the signal was for
  }
}

/** A zombie nobody has reaped yet still answers to kill(2), so where there is a /proc that decides. */
function isAlive(target: ProcessTarget): boolean {
  try {
    process.kill(target.leadsGroup ? -target.pid : target.pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== "linux") return true;
  const state = processStat(target.pid)?.state;
  if (state !== undefined && state !== "Z") return true;
  return target.leadsGroup && processGroup(target.pid).length > 0;
}
