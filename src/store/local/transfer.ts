import { constants } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, realpath, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "../../errors.ts";
import type { Digest } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { isAbsent, pour, writeWhole } from "./file.ts";

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

/** A new file with these bytes, on disk when it resolves. */
export async function writeDurable(path: string, body: Uint8Array): Promise<void> {
  await using file = await open(path, "wx");
  await writeWhole(file, body);
  await file.sync();
}

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

/** A copy of an open file, on disk when it resolves; answers the digest of what was copied. */
export async function copyDurable(from: FileHandle, to: string, c: Call): Promise<Digest> {
  await using file = await open(to, "wx");
  const digest = await pour(from, file, c);
  await file.sync();
  return digest;
}

/** Gives a finished file its name unless that is taken; false when it is. `from` may stay: it is the caller's. */
export async function nameIfFree(from: string, to: string): Promise<boolean> {
  try {
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

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** Makes the names in a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY);
  await directory.sync();
}

/** Makes what `write` needs: a directory may go when its last object does, just before a new one comes. */
export async function inDirectoryOf<T>(path: string, write: () => Promise<T>): Promise<T> {
  for (let tries = 3; ; tries--) {
    await mkdir(dirname(path), { recursive: true });
    try {
      return await write();
    } catch (error) {
      if (tries === 0 || systemCode(error) !== "ENOENT" || (await exists(dirname(path)))) throw error;
    }
  }
}

export async function removeQuietly(path: string): Promise<void> {
  // What went wrong before is what gets reported.
  await unlink(path).catch(() => undefined);
}
