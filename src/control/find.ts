import { isLocked } from "../agent/lock.ts";
import { DewyError } from "../errors.ts";
import { openPaths, processIds } from "../util/procfs.ts";

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
    .flatMap(openPaths)
    .filter((path) => path.endsWith(lockSuffix))
    // Who only looks whether the lock is free has it open, too.
    .filter(isLocked)
    .map((path) => path.slice(0, -lockSuffix.length));
  return [...new Set(roots)].sort();
}
