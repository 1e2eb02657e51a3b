import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { DewyError, systemCode } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { isAbsent } from "../../util/fs.ts";
import type { Version } from "../store.ts";

/** null unless it is a file, or a link to one. */
export async function statFile(path: string): Promise<BigIntStats | null> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isFile() ? found : null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** null unless it is a file, or a link to one. Opening asks a file server what is there now, where stat may not. */
export async function openFile(path: string): Promise<{ handle: FileHandle; stat: BigIntStats } | null> {
  let handle: FileHandle;
  try {
    // A pipe of that name must not hold us.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isAbsent(error) || systemCode(error) === "ENXIO") return null;
    throw error;
  }
  try {
    const found = await handle.stat({ bigint: true });
    if (found.isFile()) return { handle, stat: found };
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return null;
}

/** Writers give each file a time of its own (see lock.ts), so that two contents never have the same version. */
export function versionOf({ ino, mtimeNs, size }: BigIntStats): Version {
  return `${ino}:${mtimeNs}:${size}`;
}

/** A copy that keeps the time of its original was put here later; file systems without birth times say 0. */
export function updatedAtOf({ mtimeMs, birthtimeMs }: BigIntStats): Date {
  return new Date(Number(mtimeMs > birthtimeMs ? mtimeMs : birthtimeMs));
}

const chunkBytes = 256 * 1024;

/** The bytes of an open file from `offset` to `end`; closes it when they are read or no longer wanted. */
export class FileChunks implements AsyncIterableIterator<Uint8Array> {
  #open = true;

  constructor(
    private readonly handle: FileHandle,
    private readonly name: string,
    private offset: number,
    private readonly end: number,
    private readonly c: Call,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#open) return { done: true, value: undefined };
    try {
      this.c.signal.throwIfAborted();
      if (this.offset >= this.end) return await this.return();
      const wanted = Math.min(chunkBytes, this.end - this.offset);
      const { bytesRead, buffer } = await this.handle.read(Buffer.alloc(wanted), 0, wanted, this.offset);
      if (bytesRead === 0) {
        throw new DewyError("bad-answer", `read ${this.name}: it became shorter while it was read`);
      }
      this.offset += bytesRead;
      return { done: false, value: buffer.subarray(0, bytesRead) };
    } catch (error) {
      await this.return();
      throw error;
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    const wasOpen = this.#open;
    this.#open = false;
    if (wasOpen) await this.handle.close();
    return { done: true, value: undefined };
  }
}
