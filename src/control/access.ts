import { accessSync, constants, lstatSync } from "node:fs";
import { join } from "node:path";
import { DewyError, systemCode } from "../errors.ts";
import { userNumbered } from "../util/libc-user.ts";

/** What is the agent's own, mode 0600, from its first start on. */
const own = [".dewy/dewy.sock", ".dewy/lock"];

/**
 * That this user may ask the agent of `root` and read its records, or those that the last one has left; `filesystem`
 * where they are another user's, `config-invalid` where there can be none. What is not there is for others to tell.
 */
export function requireAccess(root: string): void {
  try {
    accessSync(join(root, ".dewy/lock"), constants.R_OK);
  } catch (error) {
    if (isDenied(error)) throw mayNotAsk(root, error);
    const code = systemCode(error);
    if (code !== "ENOTDIR" && code !== "ENAMETOOLONG") return;
    throw new DewyError("config-invalid", `${root} is not a directory`, {
      hint: "name the agent's working directory with --root",
    });
  }
}

export function isDenied(error: unknown): boolean {
  const code = systemCode(error);
  return code === "EACCES" || code === "EPERM";
}

/** Whose agent it is, and how to ask it all the same. */
export function mayNotAsk(root: string, cause: unknown): DewyError {
  const self = nameOf(process.geteuid?.() ?? 0);
  const uid = ownerOf(root);
  if (uid === null) {
    return new DewyError("filesystem", `this user (${self}) may not look into ${root}`, {
      cause,
      hint: "run it as the user the agent runs as, or with sudo",
    });
  }
  const owner = nameOf(uid);
  return new DewyError(
    "filesystem",
    `the agent of ${root} is ${owner}'s; this user (${self}) may not ask it`,
    {
      cause,
      hint: `run it with sudo${uid === 0 ? "" : `, or as that user: sudo -u '${owner}' dewy …`}`,
    },
  );
}

/** null: not even that may be seen. */
function ownerOf(root: string): number | null {
  for (const name of own) {
    try {
      return lstatSync(join(root, name)).uid;
    } catch {
      // the other one may be there
    }
  }
  return null;
}

/** A number that no list names is written as sudo takes it. */
function nameOf(uid: number): string {
  try {
    return userNumbered(uid)?.name ?? `#${uid}`;
  } catch {
    return `#${uid}`; // no such lists on this platform
  }
}
