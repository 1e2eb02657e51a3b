import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { systemCode } from "../errors.ts";

/** Makes the names in a directory (creations, renames, removals) survive a power cut. */
export function fsyncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Where to make a file that is to be renamed to `path`: a name nobody can have guessed and put a link at. */
export function partialPath(path: string): string {
  return join(dirname(path), `.partial-${process.pid}-${crypto.randomUUID()}`);
}

/** Removes what writers that were killed left in a directory: nobody else ever would. */
export function removePartials(directory: string): void {
  try {
    for (const name of readdirSync(directory)) {
      const writer = /^\.partial-(\d+)-/.exec(name)?.[1];
      if (writer !== undefined && !isRunning(Number(writer))) rmSync(join(directory, name), { force: true });
    }
  } catch {
    // A directory that can't be read or written says so when it is used.
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== "ESRCH";
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
    rmSync(partial, { force: true });
    throw error;
  }
  fsyncDirectory(dirname(path));
}

/** `write(2)` may take less than it was given. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) offset += writeSync(fd, bytes, offset, bytes.length - offset);
}
