import { invalid, type Problem } from "./problem.ts";

/** `--user` and `--group`, as they were written: whether the host knows them is seen when the agent starts. */
export interface UserSpec {
  readonly user: string;
  /** null: the user's own. */
  readonly group: string | null;
}

/** `NAME`, `UID`, `NAME:GROUP`, …: both by names or numbers. */
export function parseUser(value: string): UserSpec {
  const [user = "", group = null, ...rest] = value.split(":");
  if (rest.length > 0) throw invalid(`"${value}" is not a user`, "write NAME, UID or USER:GROUP");
  return { user: parseAccount(user), group: group === null ? null : parseAccount(group) };
}

/** A name as useradd(8) and other tools take it, or a number. */
export function parseAccount(value: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,255}\$?$/.test(value)) return value;
  throw invalid(`"${value}" is neither a name nor a number`, "write for example www-data or 33");
}

/** The user, in the group that `--group` names; null: the agent's own. */
export function toUser(user: UserSpec | undefined, group: string | undefined): UserSpec | null {
  return user === undefined ? null : { user: user.user, group: group ?? user.group };
}

/** A group that belongs to nobody, or a second one. */
export function strayGroup(settings: Readonly<Record<string, unknown>>): Problem[] {
  const { user, group } = settings;
  if (group === undefined) return [];
  if (user === undefined) {
    return [{ message: "--group needs --user", hint: "name whom the app runs as, too", about: "group" }];
  }
  if (typeof user !== "string" || !user.includes(":")) return [];
  return [{ message: `--user ${user} names a group already`, hint: "leave --group out", about: "group" }];
}
