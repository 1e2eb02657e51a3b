import { lstatSync, renameSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { DewyError, toDewyError } from "../errors.ts";
import type { Digest } from "../release/release.ts";
import type { ResumePoint } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import { fsyncDirectory, partialPath } from "../util/fs.ts";
import { Patience, type PatienceOptions } from "./patience.ts";
import type { ObjectStore, StoredObject } from "./store.ts";

/** Less than this between two cuts is no progress: a server that cuts after every byte must not keep us for ever. */
const progressBytes = 64 * 1024;

/**
 * ObjectStore.fetchFile over ObjectStore.get: streams an object to `toPath` and answers the digest of what came; null
 * when there is none. Goes on after a cut, or starts over when the object changed meanwhile. The file is whole,
 * checked and durable when it resolves; nothing is left when it rejects. `filesystem` when `toPath` is there already.
 */
export async function fetchInto(
  store: Pick<ObjectStore, "get">,
  key: string,
  toPath: string,
  deps: PatienceOptions,
  c: Call,
): Promise<Digest | null> {
  const doing = `fetch ${key}`;
  c.signal.throwIfAborted();
  const path = partialPath(toPath);
  try {
    refuseExisting(toPath, doing);
    await using file = await GrowingFile.create(path);
    const stored = await fill(file, { store, key, doing, deps }, c);
    if (stored === null) return null;
    const digest = file.digest();
    if (stored.digest !== null && stored.digest !== digest) {
      throw new DewyError("digest-mismatch", `${doing}: got ${digest}, stored as ${stored.digest}`, {
        hint: "delete the object: it is not what its writer stored",
      });
    }
    await file.makeDurable();
    c.signal.throwIfAborted();
    refuseExisting(toPath, doing);
    renameSync(path, toPath);
    fsyncDirectory(dirname(toPath));
    return digest;
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, doing);
  } finally {
    rmSync(path, { force: true });
  }
}

interface Job {
  readonly store: Pick<ObjectStore, "get">;
  readonly key: string;
  readonly doing: string;
  readonly deps: PatienceOptions;
}

/** What a version's bytes must be. Some services say it of whole objects only, so the first answer's word counts. */
type Stored = Pick<StoredObject, "version" | "digest">;

/** Tries until all bytes are there, and answers whose they are; only cuts and outages are tried again. */
async function fill(file: GrowingFile, job: Job, c: Call): Promise<Stored | null> {
  const patience = new Patience(job.deps);
  let stored: Stored | null = null;
  let resume: ResumePoint | null = null;
  let furthest = 0;
  for (;;) {
    let object: StoredObject | null = null;
    try {
      object = await job.store.get(job.key, resume, c);
      if (object === null) return null;
      if (stored?.version !== object.version || stored.digest === null) stored = object;
      await transfer(file, object, job.doing, c);
      return stored;
    } catch (error) {
      c.signal.throwIfAborted();
      if (file.sizeBytes >= furthest + progressBytes) patience.renew();
      furthest = Math.max(furthest, file.sizeBytes);
      if (object !== null) resume = resumePointOf(file, object);
      await patience.after(toDewyError(error, job.doing), c);
    }
  }
}

function resumePointOf(file: GrowingFile, object: StoredObject): ResumePoint | null {
  return file.sizeBytes === 0 ? null : { offset: file.sizeBytes, validator: object.version };
}

/** One connection's worth of bytes. */
async function transfer(file: GrowingFile, object: StoredObject, doing: string, c: Call): Promise<void> {
  const { sizeBytes, offset, chunks } = object;
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    if (offset === 0 && file.sizeBytes > 0) await file.restart();
    if (offset !== file.sizeBytes) {
      throw new DewyError("bad-answer", `${doing}: got bytes from ${offset} on, not ${file.sizeBytes}`);
    }
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      c.signal.throwIfAborted();
      if (file.sizeBytes + next.value.length > sizeBytes) {
        throw new DewyError("bad-answer", `${doing}: more than the ${sizeBytes} bytes it was said to have`);
      }
      await file.append(next.value);
    }
  } finally {
    // Ends the connection when it was not read to its end.
    await iterator.return?.();
  }
  if (file.sizeBytes < sizeBytes) {
    const text = `${doing}: cut after ${file.sizeBytes} of ${sizeBytes} bytes`;
    throw new DewyError("network-unreachable", text);
  }
}

function refuseExisting(path: string, doing: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  throw new DewyError("filesystem", `${doing}: ${path} is there already`, { retryable: false });
}

/** Bytes one after the other, with a running SHA-256. */
class GrowingFile implements AsyncDisposable {
  #hasher = new Bun.CryptoHasher("sha256");
  #sizeBytes = 0;

  private constructor(private readonly handle: FileHandle) {}

  static async create(path: string): Promise<GrowingFile> {
    return new GrowingFile(await open(path, "wx", 0o644));
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Through a file handle, not writeSync: a disk that is slow to take the bytes must not stop the event loop. */
  async append(chunk: Uint8Array): Promise<void> {
    this.#hasher.update(chunk);
    for (let done = 0; done < chunk.length; ) {
      const at = this.#sizeBytes + done;
      done += (await this.handle.write(chunk, done, chunk.length - done, at)).bytesWritten;
    }
    this.#sizeBytes += chunk.length;
  }

  async restart(): Promise<void> {
    await this.handle.truncate(0);
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#sizeBytes = 0;
  }

  /** Of all bytes written; none may follow. */
  digest(): Digest {
    return `sha256:${this.#hasher.digest("hex")}`;
  }

  makeDurable(): Promise<void> {
    return this.handle.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Closing may fail with the very error that ended the transfer (a full disk); that one is reported.
    await this.handle.close().catch(() => undefined);
  }
}
