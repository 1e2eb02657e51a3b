import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../../errors.ts";
import { abortable, type Call, Mutex } from "../../util/async.ts";
import { writeWhole } from "../../util/fs.ts";
import { tryLock } from "../../util/libc.ts";
import { systemClock } from "../../util/time.ts";

const refused: ReadonlySet<string | undefined> = new Set(["EACCES", "EPERM", "EROFS"]);
const digits = 20;

/**
 * One writer at a time in a directory, of all processes and hosts that share it. `.lock` holds the time that the
 * last writer gave its file: whoever comes next gives a later one, also when that file is gone again.
 */
export class WriteLock {
  readonly #mutex = new Mutex();
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, ".lock");
  }

  /**
   * Where the lock file can't be made `work` runs without, unless it is `required`: a directory whose
   * subdirectories alone may be written is fine for new objects.
   */
  async run<T>(work: (times: WriteTimes) => Promise<T>, required: boolean, c: Call): Promise<T> {
    const done = Promise.withResolvers<void>();
    const turn = Promise.withResolvers<void>();
    void this.#mutex.run(() => {
      turn.resolve();
      return done.promise;
    });
    try {
      // A disk that hangs must not hang those that wait behind us.
      await abortable(turn.promise, c.signal);
      return await this.#locked(work, required, c);
    } finally {
      done.resolve();
    }
  }

  async #locked<T>(work: (times: WriteTimes) => Promise<T>, required: boolean, c: Call): Promise<T> {
    const handle = await this.#open(required);
    if (handle === null) return work(new WriteTimes(null, 0n));
    try {
      await acquire(handle, c);
      return await work(new WriteTimes(handle, await lastTime(handle)));
    } finally {
      await handle.close();
    }
  }

  async #open(required: boolean): Promise<FileHandle | null> {
    try {
      return await open(this.#path, constants.O_RDWR | constants.O_CREAT);
    } catch (error) {
      if (!required && refused.has(systemCode(error))) return null;
      throw error;
    }
  }
}

/** Held for the few system calls of one write. A holder that hangs must not hang everybody: `c` ends the wait. */
async function acquire(handle: FileHandle, c: Call): Promise<void> {
  for (let pauseMs = 1; !tryLock(handle.fd); pauseMs = Math.min(20, pauseMs * 2)) {
    await systemClock.sleep(pauseMs, c.signal);
  }
}

/** 0 where nobody wrote one: it is only ever one reason more for a later time. */
async function lastTime(handle: FileHandle): Promise<bigint> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(digits), 0, digits, 0);
  const text = buffer.toString("latin1", 0, bytesRead);
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** Smallest first: a file system may count in microseconds, in milliseconds or in seconds. */
const stepsNs = [1_000n, 1_000_000n, 1_000_000_000n, 2_000_000_000n];

/** What a FileHandle can do of it. */
export interface TimedFile {
  utimes(accessedS: number, modifiedS: number): Promise<void>;
  stat(options: { readonly bigint: true }): Promise<{ readonly mtimeNs: bigint }>;
}

/** Times of writing, each later than the one before, whatever the clock and the file system do. */
export class WriteTimes {
  constructor(
    private readonly lock: Pick<FileHandle, "write"> | null,
    private readonly lastNs: bigint,
  ) {}

  /** Gives an open file the present time, or one later than both its predecessor's and the last of all. */
  async stamp(file: TimedFile, predecessorNs: bigint): Promise<void> {
    if (this.lock === null) return;
    const floorNs = predecessorNs > this.lastNs ? predecessorNs : this.lastNs;
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    for (const wantedNs of [nowNs, ...stepsNs.map((stepNs) => floorNs + stepNs)]) {
      if (wantedNs <= floorNs) continue;
      const seconds = Number(wantedNs / 1000n) / 1e6;
      await file.utimes(seconds, seconds);
      const { mtimeNs } = await file.stat({ bigint: true });
      if (mtimeNs <= floorNs) continue;
      return writeWhole(this.lock, Buffer.from(String(mtimeNs).padStart(digits, "0")));
    }
  }
}
