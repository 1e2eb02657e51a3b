import { messageOf } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { killGroup, type ShellCommand, spawnShell } from "../util/shell.ts";
import type { Clock } from "../util/time.ts";
import { lackIn } from "./hindrance.ts";
import type { Probed } from "./policy.ts";

/**
 * Runs an operator's check in a process group of its own: exit code 0 passes. At the deadline, or when `c` aborts,
 * the whole group is killed, and what it left in the background with its end. What it says to stderr goes where the
 * agent's own goes; nothing of it gets into a message.
 */
export async function checkCommand(
  check: ShellCommand,
  limitMs: number,
  clock: Clock,
  c: Call,
): Promise<Probed> {
  c.signal.throwIfAborted();
  const asked = "the health command";
  let child: ReturnType<typeof spawnShell>;
  try {
    child = spawnShell(check, ["ignore", "inherit"]);
  } catch (error) {
    const seen = `${asked} could not be started: ${lackIn(error) ?? messageOf(error)}`;
    return { ok: false, seen, unasked: lackIn(error) !== null };
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
