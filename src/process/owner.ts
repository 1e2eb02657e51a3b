import { processUser } from "../util/procfs.ts";
import type { User } from "../util/user.ts";

/**
 * Whether the app's user, or the agent's own, runs a process: anybody may give one of his own the marks of an app, or
 * start it from its directory. The agent's counts because `--user` may be new.
 */
export function mayBeApp(pid: number, user: User | null): boolean {
  const uid = processUser(pid);
  return uid !== null && (uid === process.geteuid?.() || uid === user?.uid);
}
