import type { ReleaseFileWriter } from "./file-writer.ts";
import type { Budget } from "./limits.ts";
import { type Overrides, parsePax } from "./pax.ts";
import { corrupt, quote, refused } from "./refusal.ts";
import { parseBlock, type TarBlock, type TarEntry, toEntry } from "./tar-header.ts";
import type { ReleaseWriter } from "./writer.ts";

const blockBytes = 512;
const maxMetaBytes = 1024 * 1024;

type Meta = Extract<TarBlock, { kind: "meta" }>;
type State =
  | { readonly at: "header"; readonly afterZero: boolean }
  | { readonly at: "content"; readonly file: ReleaseFileWriter; readonly entry: TarEntry; remaining: number }
  | { readonly at: "meta"; readonly meta: Meta; readonly body: Buffer; filled: number }
  | { readonly at: "padding"; remaining: number }
  | { readonly at: "end" };

const betweenEntries: State = { at: "header", afterZero: false };
const ended: State = { at: "end" };

/**
 * Reads a tar stream (ustar, GNU, PAX, v7), cut anywhere into chunks, and hands its entries to the writer.
 * `tar`'s Header decodes the fields. Its Parser is not used: it inflates a gzip stream it finds inside the tar
 * behind the limits, breaks PAX text between chunks, and skips records it can't read.
 */
export class TarReader {
  readonly #writer: ReleaseWriter;
  readonly #budget: Budget;
  readonly #block = Buffer.alloc(blockBytes);
  #blockFilled = 0;
  #state: State = { at: "header", afterZero: false };
  #overrides: Overrides = {};

  constructor(writer: ReleaseWriter, budget: Budget) {
    this.#writer = writer;
    this.#budget = budget;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let at = 0; at < bytes.length; ) at += this.#take(bytes, at);
  }

  /**
   * To be called at the end of the stream. `wholeStream`: a checksum proved that nothing was cut off, so that
   * the end-of-archive blocks may be missing (GNU tar accepts that too).
   */
  finish(wholeStream: boolean): void {
    const state = this.#state;
    if (state.at === "end") return;
    if (state.at === "content") throw corrupt(`the archive ends inside ${quote(state.entry.name)}`);
    if (state.at !== "header" || this.#blockFilled > 0 || Object.keys(this.#overrides).length > 0) {
      throw corrupt("the archive ends inside an entry");
    }
    if (!wholeStream || this.#budget.entries === 0) throw corrupt("the archive ends without tar's end mark");
  }

  /** Uses some of `bytes` from `at` on; returns how many. */
  #take(bytes: Buffer, at: number): number {
    const state = this.#state;
    switch (state.at) {
      case "header":
        return this.#takeHeader(bytes, at, state.afterZero);
      case "content": {
        const count = Math.min(state.remaining, bytes.length - at);
        state.file.write(bytes.subarray(at, at + count));
        state.remaining -= count;
        if (state.remaining === 0) this.#endContent(state.file, state.entry);
        return count;
      }
      case "meta": {
        const count = bytes.copy(state.body, state.filled, at);
        state.filled += count;
        if (state.filled === state.body.length) this.#endMeta(state.meta, state.body);
        return count;
      }
      case "padding": {
        const count = Math.min(state.remaining, bytes.length - at);
        state.remaining -= count;
        if (state.remaining === 0) this.#state = betweenEntries;
        return count;
      }
      case "end":
        return bytes.length - at;
    }
  }

  #takeHeader(bytes: Buffer, at: number, afterZero: boolean): number {
    if (this.#blockFilled === 0 && bytes.length - at >= blockBytes) {
      this.#header(bytes.subarray(at, at + blockBytes), afterZero);
      return blockBytes;
    }
    const count = bytes.copy(this.#block, this.#blockFilled, at);
    this.#blockFilled += count;
    if (this.#blockFilled === blockBytes) {
      this.#blockFilled = 0;
      this.#header(this.#block, afterZero);
    }
    return count;
  }

  #header(bytes: Buffer, afterZero: boolean): void {
    const block = parseBlock(bytes);
    if (block.kind === "zero") {
      this.#state = afterZero ? ended : { at: "header", afterZero: true };
      return;
    }
    // Tars differ on what a single zero block means: half of them would not see what comes now.
    if (afterZero) throw corrupt("the archive has entries after tar's end mark");
    if (block.kind === "meta") this.#startMeta(block);
    else this.#entry(block);
  }

  #startMeta(meta: Meta): void {
    if (meta.sizeBytes > maxMetaBytes) {
      throw refused(meta.name, "has an extended header over 1 MiB", "pack it again with GNU tar");
    }
    if (meta.sizeBytes === 0) return;
    this.#state = { at: "meta", meta, body: Buffer.alloc(meta.sizeBytes), filled: 0 };
  }

  #endMeta(meta: Meta, body: Buffer): void {
    this.#pad(body.length);
    switch (meta.meta) {
      case "local":
        this.#override(parsePax(body));
        break;
      case "longName":
        this.#override({ path: cString(body) });
        break;
      case "longLink":
        this.#override({ linkpath: cString(body) });
        break;
      case "global":
        checkGlobal(parsePax(body));
    }
  }

  #override(overrides: Overrides): void {
    for (const key of Object.keys(overrides)) {
      if (key in this.#overrides) throw corrupt("the archive has two extended headers that name one entry");
    }
    this.#overrides = { ...this.#overrides, ...overrides };
  }

  #entry(block: Extract<TarBlock, { kind: "entry" }>): void {
    const overrides = this.#overrides;
    this.#overrides = {};
    const entry = toEntry(block.header, overrides.sizeBytes ?? block.sizeBytes, overrides);
    this.#state = betweenEntries;
    switch (entry.type) {
      case "directory":
        this.#writer.directory(entry.name, entry.mode);
        break;
      case "symlink":
        this.#writer.symlink(entry.name, entry.target);
        break;
      case "hardLink":
        this.#writer.hardLink(entry.name, entry.target);
        break;
      case "file": {
        const file = this.#writer.file(entry.name, entry.mode, entry.sizeBytes, entry.mtimeSeconds);
        if (entry.sizeBytes === 0) file.close();
        else this.#state = { at: "content", file, entry, remaining: entry.sizeBytes };
      }
    }
  }

  #endContent(file: ReleaseFileWriter, entry: TarEntry): void {
    file.close();
    this.#pad(entry.type === "file" ? entry.sizeBytes : 0);
  }

  #pad(bytes: number): void {
    const remaining = (blockBytes - (bytes % blockBytes)) % blockBytes;
    this.#state = remaining === 0 ? betweenEntries : { at: "padding", remaining };
  }
}

function cString(body: Buffer): string {
  return body.toString("utf8").replace(/\0+$/, "");
}

/** Tars differ on these: some give one name to all entries, some ignore them. */
function checkGlobal(overrides: Overrides): void {
  const [key] = Object.keys(overrides).filter((name) => name !== "mtimeSeconds");
  if (key !== undefined) {
    throw refused(key, "is set for all entries by a global header", "pack it again with GNU tar");
  }
}
