import { existsSync, linkSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { DewyError, toDewyError } from "../../errors.ts";
import { fsyncDirectory, partialPath } from "../../util/fs.ts";
import type { Sink } from "./content.ts";

/** Keeps an entry in memory, up to `maxBytes` of it. */
export class MemorySink implements Sink {
  #body = new Uint8Array();
  #filled = 0;

  constructor(
    private readonly key: string,
    private readonly maxBytes: number,
  ) {}

  get body(): Uint8Array {
    return this.#body;
  }

  async begin(sizeBytes: number): Promise<void> {
    if (sizeBytes > this.maxBytes) {
      throw new DewyError(
        "bad-answer",
        `the cache's ${this.key} is ${sizeBytes} bytes: no value, but a file`,
        {
          retryable: false,
        },
      );
    }
    this.#body = new Uint8Array(sizeBytes);
    this.#filled = 0;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#body.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }
}

/** Writes an entry beside `path`, where it appears, whole and durable, by `finish()` only. */
export class FileSink implements Sink, AsyncDisposable {
  readonly #partial: string;
  #handle: FileHandle | null = null;

  constructor(private readonly path: string) {
    this.#partial = partialPath(path);
  }

  async begin(): Promise<void> {
    try {
      // Known before anything is fetched, and once more by the link.
      if (existsSync(this.path)) throw Object.assign(new Error("file exists"), { code: "EEXIST" });
      await this.#close();
      this.#handle = await open(this.#partial, "wx", 0o644);
    } catch (error) {
      throw toDewyError(error, `write ${this.path}`);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let offset = 0; offset < bytes.length && this.#handle !== null; ) {
        const { bytesWritten } = await this.#handle.write(bytes, offset, bytes.length - offset);
        offset += bytesWritten;
      }
    } catch (error) {
      throw toDewyError(error, `write ${this.path}`);
    }
  }

  async finish(): Promise<void> {
    try {
      await this.#handle?.sync();
      // Unlike a rename a link never replaces what is there.
      linkSync(this.#partial, this.path);
      fsyncDirectory(dirname(this.path));
    } catch (error) {
      throw toDewyError(error, `write ${this.path}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #close(): Promise<void> {
    // Closing may fail with the very error that ended the writing (a full disk); that one is reported.
    await this.#handle?.close().catch(() => undefined);
    this.#handle = null;
    rmSync(this.#partial, { force: true });
  }
}
