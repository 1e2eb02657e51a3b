import { FFIType } from "bun:ffi";
import { closeSync, readdirSync, readFileSync } from "node:fs";
import type { Call } from "../util/async.ts";
import { isAbsent } from "../util/fs.ts";
import { LibcError, lazily, load, pidfdOpen } from "../util/libc.ts";
import { type ProcessStat, processIds, processStat } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";

const { i32, pointer } = FFIType;
const WNOHANG = 1;
const roundMs = 1000;
/** Bun waits for its children in a thread then, which is not that late on any machine. */
const roundWithoutPidfdsMs = 60_000;

const libc = lazily(() => load({ waitpid: { args: [i32, pointer, i32], returns: i32 } } as const));

/**
 * The first process of a container inherits every process whose parent has gone, and must take note of its end: else
 * what an app or a hook leaves behind fills the container's table of processes. Until it is disposed of; elsewhere than
 * as pid 1 there is nothing to do.
 */
export function reapOrphans(clock: Clock, hasPidfds: () => boolean = pidfdsExist): Disposable {
  const end = new AbortController();
  if (process.pid === 1) void run(clock, hasPidfds(), end);
  return { [Symbol.dispose]: () => end.abort() };
}

async function run(clock: Clock, hasPidfds: boolean, c: Call): Promise<void> {
  let before: readonly ProcessStat[] = [];
  while (!c.signal.aborted) {
    const now = processIds().flatMap((pid) => processStat(pid) ?? []);
    const left = orphans(now, before, process.pid);
    // A look at all descriptors: only where there is reason for it.
    const own = left.length === 0 ? null : hasPidfds ? ownChildren() : new Set<number>();
    for (const { pid } of left) {
      if (own?.has(pid) === false) libc().waitpid(pid, null, WNOHANG);
    }
    before = now;
    await clock.sleep(hasPidfds ? roundMs : roundWithoutPidfdsMs, c.signal).catch(() => undefined);
  }
}

/**
 * Children of `parent` that have ended and that nobody has taken note of since a round ago: Bun is quicker with its own.
 */
export function orphans(
  now: readonly ProcessStat[],
  before: readonly ProcessStat[],
  parent: number,
): ProcessStat[] {
  const isEnded = (stat: ProcessStat) => stat.state === "Z" && stat.ppid === parent;
  const wasEnded = ({ pid, startTicks }: ProcessStat) =>
    before.some((stat) => stat.pid === pid && stat.startTicks === startTicks && isEnded(stat));
  return now.filter((stat) => isEnded(stat) && wasEnded(stat));
}

/** Not before Linux 5.3, nor under a container engine's filter that is older. */
function pidfdsExist(): boolean {
  try {
    closeSync(pidfdOpen(process.pid));
    return true;
  } catch (error) {
    if (error instanceof LibcError) return false;
    throw error;
  }
}

/**
 * Whose end Bun waits for, and would not learn if it were taken from it: it holds a pidfd of each child from its start
 * on. null: it can't be told (no descriptor is free to look with).
 */
export function ownChildren(): Set<number> | null {
  try {
    const pids = readdirSync("/proc/self/fd").flatMap((fd) => pidBehind(fd) ?? []);
    return new Set(pids);
  } catch {
    return null;
  }
}

function pidBehind(fd: string): number | null {
  try {
    const pid = /^Pid:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
    return pid === undefined ? null : Number(pid);
  } catch (error) {
    if (isAbsent(error)) return null; // closed in between
    throw error;
  }
}
