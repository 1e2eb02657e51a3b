import { processStat } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";

/** Clients of what is held wait so long, no longer. */
const holdSeconds = "0.25";
const maxWaitMs = 1000;

/**
 * Runs `work` while other generations, named by their leaders, are stopped for a moment, so that they can't take a
 * connection that is meant for another one; what comes in meanwhile waits in the listener's queue. A process of its own
 * stops them and lets them go on, whatever becomes of the agent.
 */
export async function whileHeld<T>(
  leaders: readonly number[],
  clock: Clock,
  work: () => Promise<T>,
): Promise<T> {
  const script = `kill -s STOP -- "$@"; sleep ${holdSeconds}; kill -s CONT -- "$@"`;
  const groups = leaders.map((pid) => `-${pid}`);
  const holder = Bun.spawn(["/bin/sh", "-c", script, "sh", ...groups], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore"],
  });
  holder.unref();
  try {
    await untilStopped(leaders, clock);
    return await work();
  } finally {
    for (const pid of leaders) letGoOn(pid);
  }
}

function letGoOn(pid: number): void {
  try {
    process.kill(-pid, "SIGCONT");
  } catch {
    // It is gone, or leads no group and was never stopped.
  }
}

async function untilStopped(leaders: readonly number[], clock: Clock): Promise<void> {
  const deadlineMs = clock.monotonicMs() + maxWaitMs;
  const { signal } = new AbortController();
  const areStopped = () => leaders.every((pid) => (processStat(pid)?.state ?? "T") === "T");
  while (!areStopped() && clock.monotonicMs() < deadlineMs) await clock.sleep(2, signal);
}
