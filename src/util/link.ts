import { link, realpath, rename } from "node:fs/promises";
import { systemCode } from "../errors.ts";
import { exists } from "./fs.ts";

/** What link(2) says where the file system, or its rules for links to others' files, allow none. */
const noLinks: ReadonlySet<string | undefined> = new Set([
  "EXDEV",
  "EPERM",
  "EACCES",
  "EMLINK",
  "ENOSYS",
  "ENOTSUP",
  "EOPNOTSUPP",
]);

/** Whether `to` is now another name of the file that `from` leads to. */
export async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(await realpath(from), to);
    return true;
  } catch (error) {
    if (noLinks.has(systemCode(error))) return false;
    throw error;
  }
}

/** Gives a finished file its name unless that is taken; false when it is. `from` may stay: it is the caller's. */
export async function nameIfFree(from: string, to: string): Promise<boolean> {
  try {
    // Unlike a rename a link never replaces what is there.
    await link(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    if (!noLinks.has(systemCode(error))) throw error;
  }
  if (await exists(to)) return false;
  await rename(from, to);
  return true;
}
