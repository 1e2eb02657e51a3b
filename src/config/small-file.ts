import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { DewyError, systemCode } from "../errors.ts";
import { isAbsent } from "../util/fs.ts";
import { invalid } from "./problem.ts";

/** A file's text; `isOpen`: users of the host other than its owner and group may read it. */
interface SmallFile {
  readonly text: string;
  readonly isOpen: boolean;
}

/**
 * Reads a whole text file of at most `maxBytes`. Throws `config-invalid`, with a message that goes on after the
 * file's name: `does not exist`.
 */
export function readSmallFile(path: string, maxBytes: number): SmallFile {
  try {
    // Opening a pipe would wait for a writer.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return { text: textOf(fd, maxBytes), isOpen: (fstatSync(fd).mode & 0o004) !== 0 };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw error instanceof DewyError ? error : unreadable(error);
  }
}

function textOf(fd: number, maxBytes: number): string {
  const stat = fstatSync(fd);
  if (stat.isDirectory()) throw invalid("is a directory", "name a file");
  if (!stat.isFile()) throw invalid("is no regular file", "name a file");
  const bytes = Buffer.alloc(maxBytes + 1);
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read) {
    read = readSync(fd, bytes, length, bytes.length - length, null);
  }
  if (length > maxBytes) throw invalid(`has more than ${maxBytes / 1024} KiB`, "name another file");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch {
    throw invalid("is no text", "write it in UTF-8");
  }
}

function unreadable(error: unknown): DewyError {
  if (isAbsent(error)) return invalid("does not exist", "make it, or name another file");
  const code = systemCode(error) ?? "an unknown error";
  return invalid(`can't be read (${code})`, "let the user dewy runs as read it");
}
