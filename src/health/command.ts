import { messageOf } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { spawnAs } from "../util/spawn-as.ts";
import type { Clock } from "../util/time.ts";
import type { User } from "../util/user.ts";
import type { Probed } from "./policy.ts";

export interface CommandCheck {
  /** For `/bin/sh -c`. */
  readonly command: string;
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whom it runs as; null: as the agent. */
  readonly user: User | null;
}

/**
 * Runs an operator's check in a process group of its own: exit code 0 passes. At the deadline, or when `c` aborts,
 * the whole group is killed, and what it left in the background with its end. What it says to stderr goes where the
 * agent's own goes; nothing of it gets into a message.
 */
export async function checkCommand(
  { command, root, env, user }: CommandCheck,
  limitMs: number,
  clock: Clock,
  c: Call,
): Promise<Probed> {
  c.signal.throwIfAborted();
  const asked = "the health command";
  let child: Bun.Subprocess<"ignore", "ignore", "inherit">;
  try {
    child = spawnAs(user, (ids) =>
      Bun.spawn(["/bin/sh", "-c", command], {
        cwd: root,
        env: { ...env },
        detached: true,
        stdio: ["ignore", "ignore", "inherit"],
        ...ids,
      }),
    );
  } catch (error) {
    return { ok: false, seen: `${asked} could not be started: ${messageOf(error)}` };
  }
  const ended = new AbortController();
  const limit = clock.sleep(limitMs, AbortSignal.any([c.signal, ended.signal])).then(
    () => true,
    () => false,
  );
  const timedOut = await Promise.race([child.exited.then(() => false), limit]);
  ended.abort();
  killGroup(child.pid);
  await child.exited;
  c.signal.throwIfAborted();
  if (timedOut) return { ok: false, seen: `${asked} did not end within ${limitMs} ms` };
  if (child.exitCode === 0) return { ok: true, seen: `${asked} passed` };
  const how =
    child.signalCode === null ? `exited with code ${child.exitCode}` : `ended by ${child.signalCode}`;
  return { ok: false, seen: `${asked} ${how}` };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // ESRCH: nothing is left of it
  }
}
