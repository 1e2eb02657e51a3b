import { setMayChangeGroups, setThreadGroup, setThreadGroups, threadGroups } from "./libc-groups.ts";
import { isThisUser, type User } from "./user.ts";

/** Options of `Bun.spawn`. */
interface Ids {
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * Has `spawn` start a process as the user, with all his groups; null: as this process. The child may do nothing
 * that the user may not.
 */
export function spawnAs<T>(user: User | null, spawn: (ids: Ids) => T): T {
  if (user === null || isThisUser(user)) return spawn({});
  using _ = asGroupsOf(user);
  return spawn({ uid: user.uid, gid: user.gid });
}

/**
 * Gives this thread the user's groups, to be inherited by what it spawns: `Bun.spawn` can set one group only. Before
 * the child becomes the user it empties its list of groups; that is no error where it may not, so for as long the
 * thread has no right to. It stays root: at no moment may the user's processes signal the agent or look into it.
 */
function asGroupsOf(user: User): Disposable {
  const own = { groups: threadGroups(), gid: process.getegid?.() ?? 0 };
  const restoring = new DisposableStack();
  try {
    restoring.defer(() => setThreadGroups(own.groups));
    setThreadGroups(user.groups);
    restoring.defer(() => setThreadGroup(own.gid));
    setThreadGroup(user.gid);
    restoring.defer(() => setMayChangeGroups(true));
    setMayChangeGroups(false);
    return restoring;
  } catch (error) {
    restoring.dispose();
    throw error;
  }
}
