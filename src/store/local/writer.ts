import { open, rename, rmdir, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { DewyError, systemCode } from "../../errors.ts";
import type { Digest } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { isAbsent, syncDirectory } from "../../util/fs.ts";
import { nameIfFree, tryLink } from "../../util/link.ts";
import { partialPath, removePartials } from "../../util/partial.ts";
import type { LocalFile, Version } from "../store.ts";
import { openFile, versionOf } from "./file.ts";
import { WriteLock, type WriteTimes } from "./lock.ts";
import { pathOfKey } from "./names.ts";
import { removeSidecar, writeSidecar } from "./sidecar.ts";
import { copyDurable, inDirectoryOf, removeQuietly, writeDurable } from "./transfer.ts";

interface Write {
  readonly path: string;
  /** undefined: whatever is there. */
  readonly ifVersion: Version | null | undefined;
  readonly digest: Digest | null;
  /** Makes the content, whole and on disk, under another name. */
  fill(partial: string): Promise<void>;
}

/** The writes of a store in a directory: each is made aside and takes its name in one step, under the lock. */
export class LocalWriter {
  readonly #lock: WriteLock;
  readonly #cleaned = new Set<string>();

  constructor(private readonly directory: string) {
    this.#lock = new WriteLock(directory);
  }

  put(
    key: string,
    body: Uint8Array,
    ifVersion: Version | null | undefined,
    c: Call,
  ): Promise<Version | null> {
    // The caller may change it while we wait.
    const bytes = body.slice();
    const path = pathOfKey(this.directory, key);
    return this.#write({ path, ifVersion, digest: null, fill: (partial) => writeDurable(partial, bytes) }, c);
  }

  async putFile(key: string, file: LocalFile, c: Call): Promise<void> {
    const fill = async (partial: string) => {
      if (await tryOwnLink(file.path, partial)) return;
      const source = await openFile(file.path);
      await using handle = source?.handle;
      if (handle !== undefined && (await copyDurable(handle, partial, c)) === file.digest) return;
      throw new DewyError("filesystem", `${file.path} is not the file it was`, { retryable: false });
    };
    const path = pathOfKey(this.directory, key);
    await this.#write({ path, ifVersion: undefined, digest: file.digest, fill }, c);
  }

  async delete(key: string): Promise<void> {
    const path = pathOfKey(this.directory, key);
    await removeSidecar(path);
    try {
      await unlink(path);
    } catch (error) {
      // A directory of that name holds other keys.
      if (isAbsent(error) || systemCode(error) === "EISDIR" || (await isDirectory(path))) return;
      throw error;
    }
    await removeEmpty(dirname(path), this.directory);
  }

  async #write(write: Write, c: Call): Promise<Version | null> {
    c.signal.throwIfAborted();
    await requireDirectory(this.directory);
    const partial = partialPath(write.path);
    try {
      await inDirectoryOf(write.path, async () => {
        await this.#cleanOnce(dirname(write.path));
        await write.fill(partial);
      });
      const required = typeof write.ifVersion === "string";
      return await this.#lock.run((times) => replace(write, partial, times), required, c);
    } finally {
      await removeQuietly(partial);
    }
  }

  async #cleanOnce(directory: string): Promise<void> {
    if (this.#cleaned.has(directory)) return;
    this.#cleaned.add(directory);
    await removePartials(directory);
  }
}

/** null: lost. */
async function replace(write: Write, partial: string, times: WriteTimes): Promise<Version | null> {
  const { path, ifVersion, digest } = write;
  const before = await openFile(path);
  await before?.handle.close();
  const expected = before === null ? null : versionOf(before.stat);
  if (ifVersion !== undefined && expected !== ifVersion) return null;
  await using file = await open(partial, "r+");
  await times.stamp(file, before?.stat.mtimeNs ?? 0n);
  const written = await file.stat({ bigint: true });
  await removeSidecar(path);
  if (ifVersion === null) {
    // Not even somebody without our lock is overwritten.
    if (!(await nameIfFree(partial, path))) return null;
  } else await rename(partial, path);
  await syncDirectory(dirname(path));
  if (digest !== null) await writeSidecar(path, written.ino, digest);
  return versionOf(written);
}

/** A link needs the same file system, and must be ours: its time is going to be set. */
async function tryOwnLink(from: string, partial: string): Promise<boolean> {
  if (!(await tryLink(from, partial))) return false;
  try {
    await using file = await open(partial, "r+");
    const { atimeMs, mtimeMs } = await file.stat();
    await file.utimes(atimeMs / 1000, mtimeMs / 1000);
    await file.sync();
    return true;
  } catch {
    await removeQuietly(partial);
    return false;
  }
}

export async function requireDirectory(path: string): Promise<void> {
  if (await isDirectory(path)) return;
  throw new DewyError("not-found", `the directory ${path} does not exist`, {
    hint: "create it, or mount what belongs there",
  });
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** A directory is there for its objects only; what is not empty, or a link, stays. */
async function removeEmpty(directory: string, root: string): Promise<void> {
  for (let path = directory; path.length > root.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch {
      return;
    }
  }
}
