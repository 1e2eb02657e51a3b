import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { DewyError, toDewyError } from "../errors.ts";
import { tryLock } from "../util/libc.ts";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

export interface HeldLock extends Disposable {
  /**
   * Takes it anew where its file was removed or replaced, which lets others in; answers whether it was. Fails with
   * `lock-held` where somebody came in meanwhile, with `filesystem` where the file can't be made.
   */
  renew(): boolean;
}

/**
 * `.dewy/lock`: one agent a directory. The kernel's lock decides and ends with the process; the text only tells
 * people who holds it. Fails with `lock-held`.
 */
export function acquireLock(path: string, holder: string): HeldLock {
  let fd = takeFile(path, holder);
  return {
    renew() {
      // Some file systems (FUSE) number a file anew each time: there its text tells whose it is.
      if (isAt(path, fd) || (isLocked(path) && lockHolder(path) === holder)) return false;
      const taken = takeFile(path, holder);
      closeSync(fd);
      fd = taken;
      return true;
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function isAt(path: string, fd: number): boolean {
  const there = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  const own = fstatSync(fd, { bigint: true });
  return there?.ino === own.ino && there.dev === own.dev;
}

function takeFile(path: string, holder: string): number {
  let fd: number;
  try {
    // What is truncated and closed to others is the file of this name, and nothing that a link there leads to.
    fd = openSync(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  } catch (error) {
    throw toDewyError(error, `open ${path}`);
  }
  // Who may read it may lock it: no other user is to keep an agent from starting.
  fchmodSync(fd, 0o600);
  if (!takesLock(fd)) {
    closeSync(fd);
    throw new DewyError("lock-held", `another dewy runs in this directory: ${lockHolder(path)}`, {
      hint: "stop it first, or give this one a directory of its own with --root",
    });
  }
  try {
    ftruncateSync(fd);
    writeSync(fd, `${holder}\n`);
  } catch {
    // The disk is full: the lock holds all the same.
  }
  return fd;
}

/** `dewy status` holds it for a moment to see whether it is free. */
function takesLock(fd: number): boolean {
  for (let tries = 0; tries < 25; tries++) {
    if (tryLock(fd)) return true;
    Bun.sleepSync(20);
  }
  return false;
}

/** Who took the lock last. */
export function lockHolder(path: string): string {
  try {
    return readFileSync(path, "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}

/** Whether an agent holds the lock now. */
export function isLocked(path: string): boolean {
  let fd: number;
  try {
    // Anybody may have made it: opening a pipe would wait for whoever writes to it.
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return false; // no agent has ever run here
  }
  try {
    return fstatSync(fd).isFile() && !tryLock(fd);
  } finally {
    closeSync(fd);
  }
}
