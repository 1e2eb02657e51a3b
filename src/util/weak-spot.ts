import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { isAbsent } from "./fs.ts";
import { isThisUser, type User } from "./user.ts";

const maxLinks = 40;

/** Whether root acts for somebody else, who must not be able to lead it elsewhere. */
export function actsFor(user: User | null): user is User {
  return user !== null && user.uid !== 0 && process.geteuid?.() === 0 && !isThisUser(user);
}

/**
 * The first name on the way to an absolute path that the user could exchange, or put something else at: by a link there
 * he would have root write, remove or give away whatever he likes. null: none, as far as the path exists. Links are
 * followed, as the kernel does it.
 */
export function weakSpot(path: string, user: User): string | null {
  const names = namesOf(path);
  let at = "/";
  for (let links = 0; names.length > 0; ) {
    const next = join(at, names.shift() ?? "");
    const there = lookAt(next);
    if (there === null) return null;
    if (there.uid === user.uid) return next;
    if (there.isSymbolicLink()) {
      links += 1;
      if (links > maxLinks) return next;
      const target = readlinkSync(next);
      at = target.startsWith("/") ? "/" : dirname(next);
      names.unshift(...namesOf(target));
      continue;
    }
    if (mayWrite(there, user) && !keepsOthersOut(there, names.length > 0)) return next;
    at = next;
  }
  return null;
}

/** As in /tmp: names that belong to others are theirs alone to exchange. */
function keepsOthersOut({ mode }: Stats, isOnTheWay: boolean): boolean {
  return isOnTheWay && (mode & 0o1000) !== 0;
}

/** By the mode; access control lists are not looked at. */
function mayWrite({ mode, gid }: Stats, user: User): boolean {
  const isMember = gid === user.gid || user.groups.includes(gid);
  return (mode & (isMember ? 0o020 : 0o002)) !== 0;
}

/** Whether the modes let him read a file. */
export function mayRead({ uid, gid, mode }: Stats, user: User): boolean {
  if (uid === user.uid) return (mode & 0o400) !== 0;
  const isMember = gid === user.gid || user.groups.includes(gid);
  return (mode & (isMember ? 0o040 : 0o004)) !== 0;
}

function lookAt(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}
