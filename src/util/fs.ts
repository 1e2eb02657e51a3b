import { closeSync, constants, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { dirname } from "node:path";
import { systemCode } from "../errors.ts";
import { partialPath } from "./partial.ts";

/** Makes the names in a directory (creations, renames, removals) survive a power cut. */
export function fsyncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The same without stopping the event loop. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY);
  await directory.sync();
}

const absent: ReadonlySet<string | undefined> = new Set(["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP"]);

/** Whether a system call failed because there is nothing of that name. */
export function isAbsent(error: unknown): boolean {
  return absent.has(systemCode(error));
}

/** Whether the name is taken, be it by a link that leads nowhere. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/**
 * Replaces a file as a whole: write beside it, fsync, rename over, fsync the directory. A reader, or a crash
 * at any point, sees the old content or the new one.
 */
export function writeFileAtomic(path: string, body: string | Uint8Array, mode = 0o644): void {
  const partial = partialPath(path);
  try {
    // Somebody may have removed the directory while the agent runs.
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(partial, "wx", mode);
    try {
      writeAll(fd, typeof body === "string" ? Buffer.from(body) : body);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(partial, path);
  } catch (error) {
    try {
      rmSync(partial, { force: true });
    } catch {
      // On a file system that became read-only it fails, too; why the file was not written says more.
    }
    throw error;
  }
  fsyncDirectory(dirname(path));
}

/** `write(2)` may take less than it was given. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) offset += writeSync(fd, bytes, offset, bytes.length - offset);
}

/** As writeAll, without stopping the event loop. */
export async function writeWhole(
  handle: Pick<FileHandle, "write">,
  bytes: Uint8Array,
  position = 0,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** Fills `into` from `position` on; false when the file ends before. `read(2)` may give less than it was asked for. */
export async function readWhole(
  handle: Pick<FileHandle, "read">,
  into: Uint8Array,
  position: number,
): Promise<boolean> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}
