import { type FileHandle, open } from "node:fs/promises";
import { DewyError, toDewyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Digest } from "../../release/release.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Cache, CacheEntry, Version } from "../cache.ts";
import type { KeyValue } from "../key-value.ts";
import { changed, copyContent, readExactly, type Sink, type UploadSource, uploadChunks } from "./content.ts";
import { digestOf, type Head } from "./head.ts";
import { chunksOf, entryOf, Heads, type Stored } from "./heads.ts";
import { type ChunkSet, newChunkId } from "./names.ts";
import { FileSink, MemorySink } from "./sinks.ts";
import { putDeadlineMs, Sweep } from "./sweep.ts";

export interface ChunkedOptions {
  /** Larger files are not stored, but the log is told once a key, in these words; null: all are. */
  readonly maxFile?: { readonly sizeBytes: number; readonly record: string } | null;
  /** Of files; the last one is shorter. */
  readonly chunkBytes?: number;
}

interface ChunkedDeps {
  readonly clock: Clock;
  readonly log: Log;
}

const defaultChunkBytes = 512 * 1024;
/** Files up to that many bytes need no chunks. */
const inlineFileBytes = 64 * 1024;
/** What a head needs beside the bytes of its entry. */
const headBytes = 8192;
const maxKeyLength = 1024;
/** An entry replaced that often while it is read is being replaced all the time. */
const maxReads = 3;

/**
 * A cache on a service that knows only small values. Each key has one value, its head, which is swapped atomically:
 * it holds the entry, or says which chunks do. Chunks are written before the head that names them and go after the
 * one that replaces it, so readers see nothing, the old entry, or all of the new one.
 */
export function openChunkedCache(kv: KeyValue, deps: ChunkedDeps, options: ChunkedOptions = {}): Cache {
  return new ChunkedCache(kv, deps, options);
}

class ChunkedCache implements Cache {
  readonly maxValueBytes: number;
  readonly maxFileBytes: number;
  readonly #heads: Heads;
  readonly #sweep: Sweep;
  readonly #toldOf = new Set<string>();

  constructor(
    private readonly kv: KeyValue,
    private readonly deps: ChunkedDeps,
    private readonly options: ChunkedOptions,
  ) {
    this.maxValueBytes = kv.maxValueBytes - headBytes;
    this.maxFileBytes = options.maxFile?.sizeBytes ?? Number.POSITIVE_INFINITY;
    this.#heads = new Heads(kv, deps.log);
    this.#sweep = new Sweep(kv, this.#heads, deps);
  }

  async get(key: string, c: Call): Promise<{ body: Uint8Array; version: Version } | null> {
    const sink = new MemorySink(key);
    const stored = await this.#read(key, sink, c);
    return stored === null ? null : { body: sink.body, version: versionOf(stored) };
  }

  async compareAndSwap(
    key: string,
    body: Uint8Array,
    expected: Version | null,
    c: Call,
  ): Promise<Version | null> {
    if (body.length > this.maxValueBytes) {
      throw new DewyError("internal", `${key}: ${body.length} bytes are too many for a value of this cache`);
    }
    const before = expected === null ? null : readVersion(expected);
    const head = this.#inline(key, body, digestOf(body));
    const version = await this.#heads.swap(head, before?.version ?? null, c);
    if (version !== null) await this.#heads.clearChunks(before?.chunks ?? null);
    return version;
  }

  async putFile(
    key: string,
    file: { readonly path: string; readonly digest: Digest },
    c: Call,
  ): Promise<boolean> {
    const limited = withDeadline(c, putDeadlineMs);
    const { path, digest } = file;
    await using source = await openSource(path);
    const { handle, sizeBytes } = source;
    if (this.#isTooLarge(key, sizeBytes)) {
      await this.#heads.delete(key, limited);
      return false;
    }
    const head = await this.#upload(key, { handle, path, sizeBytes, digest }, limited);
    // Its chunks stay where this fails: the head may be there nevertheless, if only the answer was lost.
    await this.#heads.replace(head, limited);
    this.#sweep.startIfDue();
    return true;
  }

  async fetchFile(key: string, path: string, c: Call): Promise<Digest | null> {
    try {
      await using sink = new FileSink(path);
      const stored = await this.#read(key, sink, c);
      if (stored === null) return null;
      await sink.finish(c);
      return stored.head.digest;
    } catch (error) {
      c.signal.throwIfAborted();
      throw toDewyError(error, `fetch ${key}`);
    }
  }

  async delete(key: string, c: Call): Promise<void> {
    await this.#heads.delete(key, c);
  }

  async *list(prefix: string, c: Call): AsyncIterable<CacheEntry> {
    for (const head of await this.#heads.list(prefix, c)) yield entryOf(head);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sweep[Symbol.asyncDispose]();
    await this.kv[Symbol.asyncDispose]();
  }

  /** null: a miss. An entry replaced while it was read has lost its chunks too, which is no damage. */
  async #read(key: string, sink: Sink, c: Call): Promise<Stored | null> {
    for (let reads = 0; reads < maxReads; reads++) {
      const stored = await this.#heads.read(key, c);
      if (stored === null) return null;
      const fault = await copyContent(this.kv, stored.head, sink, c);
      if (fault === null) return stored;
      if (await this.#heads.drop(stored, fault, c)) return null;
    }
    this.deps.log.debug("Cache entry replaced again and again while it was read", { key });
    return null;
  }

  /** Everything of the new entry but its head. */
  async #upload(key: string, file: UploadSource, c: Call): Promise<Head> {
    const { sizeBytes, digest } = file;
    if (sizeBytes <= Math.min(inlineFileBytes, this.maxValueBytes)) {
      const body = await readExactly(file, Buffer.alloc(sizeBytes), 0);
      if (digestOf(body) !== digest) throw changed(file.path);
      return this.#inline(key, body, digest);
    }
    const chunks = this.#newChunks(sizeBytes);
    try {
      await uploadChunks(this.kv, file, chunks, c);
    } catch (error) {
      await this.#heads.clearChunks(chunks);
      throw error;
    }
    return { ...this.#common(key, sizeBytes, digest), content: { kind: "chunked", chunks } };
  }

  #newChunks(sizeBytes: number): ChunkSet {
    const chunkBytes = Math.min(this.options.chunkBytes ?? defaultChunkBytes, this.kv.maxValueBytes);
    const id = newChunkId(this.deps.clock.now());
    return { id, chunkBytes, count: Math.ceil(sizeBytes / chunkBytes) };
  }

  #inline(key: string, body: Uint8Array, digest: Digest): Head {
    return { ...this.#common(key, body.length, digest), content: { kind: "inline", body } };
  }

  #common(key: string, sizeBytes: number, digest: Digest): Omit<Head, "content"> {
    if (key.length > maxKeyLength) throw new DewyError("internal", "the key is too long for this cache");
    return { key, sizeBytes, digest, writtenAt: this.deps.clock.now() };
  }

  #isTooLarge(key: string, sizeBytes: number): boolean {
    const { maxFile = null } = this.options;
    if (maxFile === null || sizeBytes <= maxFile.sizeBytes) return false;
    if (!this.#toldOf.has(key)) {
      this.deps.log.info(maxFile.record, { key, size: sizeBytes, limit: maxFile.sizeBytes });
    }
    this.#toldOf.add(key);
    return true;
  }
}

async function openSource(
  path: string,
): Promise<AsyncDisposable & { readonly handle: FileHandle; readonly sizeBytes: number }> {
  try {
    const handle = await open(path, "r");
    const { size } = await handle.stat();
    return { handle, sizeBytes: size, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    throw toDewyError(error, `read ${path}`);
  }
}

/** Of a chunked entry the version names its chunks too, so that whoever replaces it can clear them away. */
function versionOf({ head, version }: Stored): Version {
  const chunks = chunksOf(head);
  return chunks === null ? version : `${version} ${chunks.id} ${chunks.count}`;
}

function readVersion(text: Version): {
  readonly version: Version;
  readonly chunks: Pick<ChunkSet, "id" | "count"> | null;
} {
  const [version = "", id, count] = text.split(" ");
  return { version, chunks: id === undefined ? null : { id, count: Number(count) } };
}
