import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { corrupt } from "./refusal.ts";

const chunkBytes = 1024 * 1024;
const windowBytes = 256 * 1024;

/** The archive on the disk, read in pieces of at most 1 MiB. Errors of the disk pass through as they are. */
export class ArchiveFile {
  readonly sizeBytes: number;
  readonly #fd: number;
  #buffer = Buffer.alloc(0);
  #window = this.#buffer;
  #windowAt = 0;

  constructor(path: string) {
    this.#fd = openSync(path, "r");
    this.sizeBytes = fstatSync(this.#fd).size;
  }

  /** The bytes from `start` to before `end`. A chunk is good until the next one: its buffer is used again. */
  *chunks(start = 0, end = this.sizeBytes): Generator<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, Math.max(1, end - start)));
    for (let at = start; at < end; ) {
      const read = readSync(this.#fd, buffer, 0, Math.min(buffer.length, end - at), at);
      if (read === 0) throw corrupt("the archive's file became shorter while it was read");
      at += read;
      yield buffer.subarray(0, read);
    }
  }

  /**
   * Exactly `length` bytes from `position`, good until the next call; `archive-corrupt` when the file has
   * less. Neighbouring pieces come out of one read.
   */
  view(position: number, length: number): Buffer {
    if (position < 0 || position + length > this.sizeBytes) throw corrupt("the archive ends too early");
    const start = position - this.#windowAt;
    if (start < 0 || start + length > this.#window.length) {
      this.#fill(position, Math.max(length, windowBytes));
      return this.#window.subarray(0, length);
    }
    return this.#window.subarray(start, start + length);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #fill(position: number, bytes: number): void {
    const length = Math.min(bytes, this.sizeBytes - position);
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafeSlow(length);
    this.#window = this.#buffer.subarray(0, length);
    this.#windowAt = position;
    let filled = 0;
    while (filled < length) {
      const read = readSync(this.#fd, this.#window, filled, length - filled, position + filled);
      if (read === 0) throw corrupt("the archive's file became shorter while it was read");
      filled += read;
    }
  }
}
