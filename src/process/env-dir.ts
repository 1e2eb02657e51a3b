import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { DewyError, toDewyError } from "../errors.ts";
import type { User } from "../util/user.ts";
import { actsFor, mayRead, weakSpot } from "../util/weak-spot.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** No program can be given a longer variable (execve(2)). */
const maxValueBytes = 128 * 1024;

/**
 * ENVDIR, read before each start (daemontools' envdir(8)): each file is a variable, its first line the value with
 * trailing blanks removed and NULs turned to newlines; an empty file unsets it. Where root reads it for another user,
 * nothing is read that he put there and could not read himself.
 */
export function readEnvDir(directory: string, user: User | null): Record<string, string | undefined> {
  try {
    const names = readdirSync(directory).filter((name) => !name.startsWith(".") && !name.includes("="));
    const files = names.filter((name) => statSync(join(directory, name)).isFile());
    return Object.fromEntries(
      files.map((name) => [name, variableFrom(readStart(resolve(directory, name), user))]),
    );
  } catch (error) {
    throw toDewyError(error, `read ENVDIR ${directory}`);
  }
}

/** As much of a file as a variable can hold. */
function readStart(path: string, user: User | null): string {
  // What the user can't exchange is root's choice, wherever it leads.
  const wary = actsFor(user) && weakSpot(path, user) !== null ? user : null;
  if (wary !== null && lstatSync(path).isSymbolicLink()) throw notForHim(path, wary);
  const fd = openSync(path, O_RDONLY | O_NONBLOCK | (wary === null ? 0 : O_NOFOLLOW));
  try {
    if (wary !== null && !isForHim(fstatSync(fd), wary)) throw notForHim(path, wary);
    const bytes = Buffer.alloc(maxValueBytes + 1);
    const length = readAll(fd, bytes);
    const text = bytes.toString("utf8", 0, length);
    if (length > maxValueBytes && !text.includes("\n")) {
      throw new DewyError("config-invalid", `${path} holds more than a variable can (128 KiB)`);
    }
    return text;
  } finally {
    closeSync(fd);
  }
}

function readAll(fd: number, into: Buffer): number {
  let length = 0;
  for (let read = -1; read !== 0 && length < into.length; length += read) {
    read = readSync(fd, into, length, into.length - length, null);
  }
  return length;
}

/** A second name for a file of root's may be his doing. */
function isForHim(file: Stats, user: User): boolean {
  return file.isFile() && (mayRead(file, user) || (file.uid === 0 && file.nlink === 1));
}

function notForHim(path: string, user: User): DewyError {
  return new DewyError(
    "config-invalid",
    `${path} is not read for user ${user.name ?? user.uid}, who may not read it`,
    {
      hint: "let root own ENVDIR and what is in it, or put files there that the user may read",
    },
  );
}

function variableFrom(content: string): string | undefined {
  if (content === "") return undefined;
  const line = content.split("\n", 1)[0] ?? "";
  return line.replace(/[ \t]+$/, "").replaceAll("\0", "\n");
}
