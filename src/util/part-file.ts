import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DewyError } from "../errors.ts";
import type { Call } from "./async.ts";
import { exists, syncDirectory, writeWhole } from "./fs.ts";
import { nameIfFree } from "./link.ts";
import { partialPath } from "./partial.ts";

export interface PartFileOptions {
  /** What it is called until it is finished; what an earlier, killed process left there goes. A hidden name unless given. */
  readonly partial?: string;
  /** What has its name already is replaced; unless true it is kept, and `filesystem` says so. */
  readonly replaces?: boolean;
}

/**
 * A file while it is being written, beside `path`, with a running SHA-256. It becomes `path`, whole and durable, only
 * by `finish()`; disposed before that, nothing is left. System errors are the caller's to explain.
 */
export class PartFile implements AsyncDisposable {
  #hasher = new Bun.CryptoHasher("sha256");
  #sizeBytes = 0;

  private constructor(
    private readonly path: string,
    private readonly partial: string,
    private readonly replaces: boolean,
    private readonly handle: FileHandle,
  ) {}

  static async create(path: string, options: PartFileOptions = {}): Promise<PartFile> {
    const { partial = partialPath(path), replaces = false } = options;
    // Before anything is fetched for it, and once more when it gets its name.
    if (!replaces && (await exists(path))) throw taken(path);
    await rm(partial, { force: true });
    // O_EXCL after the removal: whatever stands under that name, a symlink too, is neither followed nor kept.
    return new PartFile(path, partial, replaces, await open(partial, "wx", 0o644));
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Through a file handle, not writeSync: a disk that is slow to take the bytes must not stop the event loop. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#hasher.update(chunk);
    await writeWhole(this.handle, chunk, this.#sizeBytes);
    this.#sizeBytes += chunk.length;
  }

  /** Empties the file. */
  async restart(): Promise<void> {
    await this.handle.truncate(0);
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#sizeBytes = 0;
  }

  /** Of all bytes written; none may follow. */
  digest(): `sha256:${string}` {
    return `sha256:${this.#hasher.digest("hex")}`;
  }

  /** Makes the file durable and visible under its name. */
  async finish(c: Call): Promise<void> {
    await this.handle.sync();
    c.signal.throwIfAborted();
    if (this.replaces) await rename(this.partial, this.path);
    else if (!(await nameIfFree(this.partial, this.path))) throw taken(this.path);
    await syncDirectory(dirname(this.path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Closing may fail with the very error that ended the writing (a full disk); that one is reported.
    await this.handle.close().catch(() => undefined);
    await rm(this.partial, { force: true });
  }
}

function taken(path: string): DewyError {
  return new DewyError("filesystem", `${path} is there already`, { retryable: false });
}
