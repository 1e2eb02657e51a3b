import { readFileSync } from "node:fs";
import { DewyError } from "../errors.ts";
import { groupNamed, groupsOf, type PasswdEntry, userNamed, userNumbered } from "./libc-user.ts";

/** Whom a process runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  /** As initgroups(3) gives them. */
  readonly groups: readonly number[];
  /** null: a number that no list names. */
  readonly name: string | null;
  readonly home: string;
}

/** Both as an operator writes them: names or numbers. */
export interface UserRequest {
  readonly user: string;
  /** null: the user's own. */
  readonly group: string | null;
}

// The last one stands for "no change" in the system calls.
const maxId = 2 ** 32 - 2;
const CAP_SETGID = 6n;
const CAP_SETUID = 7n;

/**
 * The user as this host knows him, and that this process may become him. Fails with `config-invalid`: no such user
 * or group, or without the rights.
 */
export function findUser(request: UserRequest): User {
  const entry = userNamed(request.user) ?? entryByNumber(request.user);
  const gid = request.group === null ? ownGroup(request.user, entry) : groupId(request.group);
  const user = {
    uid: entry.uid,
    gid,
    groups: entry.name === null ? [gid] : groupsOf(entry.name, gid),
    name: entry.name,
    home: entry.home === "" ? "/" : entry.home,
  };
  checkMayBecome(user, request.user);
  return user;
}

/** What login(1) sets. A number that no list names has no name: the caller's must not stay. */
export function userEnvironment(user: User): Record<"HOME" | "USER" | "LOGNAME", string | undefined> {
  const name = user.name ?? undefined;
  return { HOME: user.home, USER: name, LOGNAME: name };
}

/** Whether this process is the user already; root may still have groups that he would not. */
export function isThisUser(user: User): boolean {
  return user.uid !== 0 && process.geteuid?.() === user.uid && process.getegid?.() === user.gid;
}

type Entry = Omit<PasswdEntry, "name" | "gid"> & {
  readonly name: string | null;
  readonly gid: number | null;
};

function entryByNumber(text: string): Entry {
  const uid = idOf(text);
  if (uid === null) {
    throw new DewyError("config-invalid", `there is no user ${text} on this host`, {
      hint: "create it (useradd --system), or write a number with its group: --user 1500:1500",
    });
  }
  return userNumbered(uid) ?? { name: null, uid, gid: null, home: "/" };
}

function ownGroup(text: string, { gid }: Entry): number {
  if (gid !== null) return gid;
  throw new DewyError("config-invalid", `user ${text} is not listed on this host, so his group is unknown`, {
    hint: `name it: --user ${text}:${text}`,
  });
}

function groupId(text: string): number {
  const gid = groupNamed(text) ?? idOf(text);
  if (gid !== null) return gid;
  throw new DewyError("config-invalid", `there is no group ${text} on this host`, {
    hint: "create it (groupadd --system), or write a number",
  });
}

function idOf(text: string): number | null {
  return /^\d{1,10}$/.test(text) && Number(text) <= maxId ? Number(text) : null;
}

function checkMayBecome(user: User, text: string): void {
  if (isThisUser(user)) return;
  if (process.platform !== "linux") {
    throw new DewyError("config-invalid", "running the app as another user needs Linux", {
      hint: "start dewy as that user",
    });
  }
  if (process.geteuid?.() !== 0) {
    throw new DewyError("config-invalid", `only root can run the app as ${text}`, {
      hint: "start dewy as root, or as that user without --user",
    });
  }
  const effective = effectiveCapabilities();
  if (((effective >> CAP_SETGID) & (effective >> CAP_SETUID) & 1n) === 1n) return;
  throw new DewyError("config-invalid", `this root may not run the app as ${text}`, {
    hint: "give dewy the capabilities CAP_SETUID and CAP_SETGID",
  });
}

function effectiveCapabilities(): bigint {
  const digits = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return BigInt(`0x${digits ?? "0"}`);
}
