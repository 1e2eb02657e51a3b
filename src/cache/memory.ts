import { readFile, stat } from "node:fs/promises";
import { toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import { PartFile } from "../util/part-file.ts";
import type { Cache, CacheEntry, Version } from "./cache.ts";
import { logDamaged } from "./damage.ts";
import { checkValueSize, maxValueBytes } from "./value.ts";

interface Entry {
  readonly body: Uint8Array;
  readonly version: Version;
  readonly updatedAt: Date;
  /** Of a file, which may make room for others; null of a value. */
  readonly digest: Digest | null;
}

/** Artifacts larger than this together are not kept: a miss costs a download, not the host's memory. */
const defaultLimitBytes = 256 * 1024 * 1024;

interface MemoryDeps {
  readonly log: Log;
}

/** Lives and dies with the agent. The oldest artifacts make room for a new one. */
export function openMemoryCache(deps: MemoryDeps, limitBytes = defaultLimitBytes): Cache {
  return new MemoryCache(deps, limitBytes);
}

class MemoryCache implements Cache {
  readonly maxValueBytes = maxValueBytes;
  readonly #entries = new Map<string, Entry>();
  #writes = 0;

  constructor(
    private readonly deps: MemoryDeps,
    readonly maxFileBytes: number,
  ) {}

  async get(key: string, c: Call): Promise<{ body: Uint8Array; version: Version } | null> {
    c.signal.throwIfAborted();
    const entry = this.#intact(key);
    return entry === null ? null : { body: entry.body.slice(), version: entry.version };
  }

  async compareAndSwap(
    key: string,
    body: Uint8Array,
    expected: Version | null,
    c: Call,
  ): Promise<Version | null> {
    c.signal.throwIfAborted();
    checkValueSize(key, body.length);
    const stored = this.#entries.get(key)?.version ?? null;
    return stored === expected ? this.#store(key, body.slice(), null) : null;
  }

  async putFile(
    key: string,
    file: { readonly path: string; readonly digest: Digest },
    c: Call,
  ): Promise<boolean> {
    c.signal.throwIfAborted();
    try {
      const body = await readIfSmaller(file.path, this.maxFileBytes);
      this.#entries.delete(key);
      if (body === null) return false;
      this.#makeRoom(this.maxFileBytes - body.length);
      this.#store(key, body, file.digest);
      return true;
    } catch (error) {
      throw toDewyError(error, `keep ${key} in memory`);
    }
  }

  async fetchFile(key: string, path: string, c: Call): Promise<Digest | null> {
    c.signal.throwIfAborted();
    const entry = this.#intact(key);
    if (entry === null) return null;
    try {
      await using part = await PartFile.create(path);
      await part.write(entry.body);
      await part.finish(c);
      return part.digest();
    } catch (error) {
      c.signal.throwIfAborted();
      throw toDewyError(error, `write ${path}`);
    }
  }

  async delete(key: string, c: Call): Promise<void> {
    c.signal.throwIfAborted();
    this.#entries.delete(key);
  }

  async *list(prefix: string, c: Call): AsyncIterable<CacheEntry> {
    c.signal.throwIfAborted();
    const found = [...this.#entries]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [key, { body, updatedAt }] of found) yield { key, sizeBytes: body.length, updatedAt };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#entries.clear();
  }

  #store(key: string, body: Uint8Array, digest: Digest | null): Version {
    const version = String(++this.#writes);
    // Behind all others: a map lists its keys in the order they were put in.
    this.#entries.delete(key);
    this.#entries.set(key, { body, version, updatedAt: new Date(), digest });
    return version;
  }

  /** null: there is none, or none any more. */
  #intact(key: string): Entry | null {
    const entry = this.#entries.get(key) ?? null;
    if (entry === null || entry.digest === null || entry.digest === digestOf(entry.body)) return entry;
    logDamaged(this.deps.log, key, `not the bytes that were stored as ${entry.digest}`);
    this.#entries.delete(key);
    return null;
  }

  /** From the oldest on. Values are small, and stay. */
  #makeRoom(forBytes: number): void {
    const files = [...this.#entries].filter(([, { digest }]) => digest !== null);
    let held = files.reduce((sum, [, { body }]) => sum + body.length, 0);
    for (const [key, { body }] of files) {
      if (held <= forBytes) return;
      this.#entries.delete(key);
      held -= body.length;
    }
  }
}

function digestOf(body: Uint8Array): Digest {
  return `sha256:${Bun.SHA256.hash(body, "hex")}`;
}

async function readIfSmaller(path: string, limitBytes: number): Promise<Uint8Array | null> {
  const { size } = await stat(path);
  return size > limitBytes ? null : readFile(path);
}
