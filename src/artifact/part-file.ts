import { rmSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import type { Digest } from "../release/release.ts";
import { fsyncDirectory } from "../util/fs.ts";

/**
 * A file while it is being written, under `<path>.part`, with a running SHA-256. It becomes `path` only by
 * `finish()`; disposed before that, nothing is left. What an earlier, killed agent left is never trusted.
 */
export class PartFile implements AsyncDisposable {
  #hasher = new Bun.CryptoHasher("sha256");
  #sizeBytes = 0;
  #finished = false;

  private constructor(
    private readonly path: string,
    private handle: FileHandle,
  ) {}

  static async create(path: string): Promise<PartFile> {
    return new PartFile(path, await createFresh(path));
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Through a file handle, not writeSync: a disk that is slow to take the bytes must not stop the event loop. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#hasher.update(chunk);
    for (let offset = 0; offset < chunk.length; ) {
      const { bytesWritten } = await this.handle.write(chunk, offset, chunk.length - offset);
      offset += bytesWritten;
    }
    this.#sizeBytes += chunk.length;
  }

  /** Empties the file. */
  async restart(): Promise<void> {
    await this.handle.close();
    this.handle = await createFresh(this.path);
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#sizeBytes = 0;
  }

  /** Of all bytes written; none may follow. */
  digest(): Digest {
    return `sha256:${this.#hasher.digest("hex")}`;
  }

  /** Makes the file durable and visible under its name. */
  async finish(): Promise<void> {
    await this.handle.sync();
    await this.handle.close();
    await rename(partial(this.path), this.path);
    this.#finished = true;
    fsyncDirectory(dirname(this.path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#finished) return;
    // Closing may fail with the very error that ended the download (a full disk); that one is reported.
    await this.handle.close().catch(() => undefined);
    rmSync(partial(this.path), { force: true });
  }
}

function partial(path: string): string {
  return `${path}.part`;
}

/** O_EXCL after the removal: whatever stands under that name, a symlink too, is neither followed nor kept. */
async function createFresh(path: string): Promise<FileHandle> {
  rmSync(partial(path), { force: true });
  return open(partial(path), "wx", 0o644);
}
