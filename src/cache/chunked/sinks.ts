import type { Digest } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { PartFile } from "../../util/part-file.ts";
import { checkValueSize } from "../value.ts";
import type { Sink } from "./content.ts";
import { digestOf } from "./head.ts";

/** Keeps an entry in memory. */
export class MemorySink implements Sink {
  #body = new Uint8Array();
  #filled = 0;

  constructor(private readonly key: string) {}

  get body(): Uint8Array {
    return this.#body;
  }

  async begin(sizeBytes: number): Promise<void> {
    checkValueSize(this.key, sizeBytes);
    this.#body = new Uint8Array(sizeBytes);
    this.#filled = 0;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#body.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  digest(): Digest {
    return digestOf(this.#body);
  }
}

/** Writes an entry to a file that must not be there yet. */
export class FileSink implements Sink, AsyncDisposable {
  #part: PartFile | null = null;

  constructor(private readonly path: string) {}

  async begin(): Promise<void> {
    if (this.#part === null) this.#part = await PartFile.create(this.path);
    else await this.#part.restart();
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#part?.write(bytes);
  }

  /** null before it has begun. */
  digest(): Digest | null {
    return this.#part?.digest() ?? null;
  }

  async finish(c: Call): Promise<void> {
    await this.#part?.finish(c);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#part?.[Symbol.asyncDispose]();
  }
}
