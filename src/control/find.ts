import { lstatSync } from "node:fs";
import { basename, dirname } from "node:path";
import { isLocked } from "../agent/lock.ts";
import { DewyError } from "../errors.ts";
import { openPaths, processIds, programOf } from "../util/procfs.ts";

const lockSuffix = "/.dewy/lock";

/**
 * The working directories of all agents of this host that this user may look at, sorted: an agent holds its lock open
 * for as long as it lives, wherever its socket was bound. `config-invalid` where there is no /proc to look in.
 */
export function findAgents(): string[] {
  const pids = processIds();
  if (pids.length === 0) {
    throw new DewyError("config-invalid", "agents can't be found without /proc", {
      hint: "name each one's directory with --root",
    });
  }
  const roots = pids
    .flatMap((pid) => locksOf(pid))
    // Who only looks whether the lock is free has it open, too.
    .filter(isLocked)
    .map((path) => path.slice(0, -lockSuffix.length));
  return [...new Set(roots)].sort();
}

/** Anybody may hold a file of that name: it counts for a dewy, and in a directory of root's or the caller's own. */
function locksOf(pid: number): string[] {
  const locks = openPaths(pid).filter((path) => path.endsWith(lockSuffix));
  return locks.length > 0 && isDewy(pid) ? locks : locks.filter(isTrusted);
}

/** One that was replaced by a newer is there no more, and runs. */
function isDewy(pid: number): boolean {
  const program = programOf(pid)?.replace(/ \(deleted\)$/, "");
  return program !== undefined && (program === process.execPath || basename(program).startsWith("dewy"));
}

function isTrusted(lock: string): boolean {
  const owner = lstatSync(dirname(lock), { throwIfNoEntry: false })?.uid;
  return owner === 0 || owner === process.geteuid?.();
}
