import { DewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Digest } from "../release/release.ts";
import type { LocalFile, ObjectStore, StoredObject } from "../store/store.ts";
import type { Call } from "../util/async.ts";
import type { Cache, CacheEntry, Version } from "./cache.ts";
import { logDamaged } from "./damage.ts";
import { fileNameOf, keyOf } from "./key.ts";
import { checkValueSize, maxValueBytes } from "./value.ts";

interface ObjectCacheDeps {
  readonly log: Log;
}

/** A cache of a store's objects, one a key, named as the Go original names them: a directory, S3, GCS. */
export function openObjectCache(store: ObjectStore, deps: ObjectCacheDeps): Cache {
  return new ObjectCache(store, deps);
}

class ObjectCache implements Cache {
  readonly maxValueBytes = maxValueBytes;
  readonly maxFileBytes = Number.POSITIVE_INFINITY;

  constructor(
    private readonly store: ObjectStore,
    private readonly deps: ObjectCacheDeps,
  ) {}

  async get(key: string, c: Call): Promise<{ body: Uint8Array; version: Version } | null> {
    const found = await this.store.get(fileNameOf(key), null, c);
    if (found === null) return null;
    const body = await bodyOf(found, key);
    const { version, digest } = found;
    if (digest === null || digest === `sha256:${Bun.SHA256.hash(body, "hex")}`) return { body, version };
    return this.#drop(key, version, `not the bytes that were stored as ${digest}`, c);
  }

  async compareAndSwap(
    key: string,
    body: Uint8Array,
    expected: Version | null,
    c: Call,
  ): Promise<Version | null> {
    checkValueSize(key, body.length);
    return this.store.put(fileNameOf(key), body, { ifVersion: expected }, c);
  }

  async putFile(key: string, file: LocalFile, c: Call): Promise<boolean> {
    await this.store.putFile(fileNameOf(key), file, c);
    return true;
  }

  async fetchFile(key: string, path: string, c: Call): Promise<Digest | null> {
    const found = await this.store.head(fileNameOf(key), c);
    if (found === null) return null;
    try {
      return await this.store.fetchFile(fileNameOf(key), path, c);
    } catch (error) {
      if (!(error instanceof DewyError) || error.code !== "digest-mismatch") throw error;
      return this.#drop(key, found.version, error, c);
    }
  }

  async delete(key: string, c: Call): Promise<void> {
    await this.store.delete(fileNameOf(key), c);
  }

  async *list(prefix: string, c: Call): AsyncIterable<CacheEntry> {
    const entries: CacheEntry[] = [];
    // What lies deeper is nobody's entry.
    for await (const entry of this.store.list(fileNameOf(prefix), { delimiter: "/" }, c)) {
      const key = entry.kind === "object" ? keyOf(entry.key) : null;
      if (entry.kind === "prefix" || key === null) continue;
      entries.push({ key, sizeBytes: entry.sizeBytes, updatedAt: entry.updatedAt });
    }
    // Names are not in the order of the keys they stand for.
    yield* entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
  }

  /** Only what was found damaged goes: somebody may have repaired it meanwhile. */
  async #drop(key: string, damaged: Version, error: unknown, c: Call): Promise<null> {
    logDamaged(this.deps.log, key, error);
    const now = await this.store.head(fileNameOf(key), c);
    if (now?.version === damaged) await this.store.delete(fileNameOf(key), c);
    return null;
  }
}

async function bodyOf({ chunks, sizeBytes }: StoredObject, key: string): Promise<Uint8Array> {
  if (sizeBytes > maxValueBytes) await chunks[Symbol.asyncIterator]().return?.();
  checkValueSize(key, sizeBytes);
  const body = new Uint8Array(sizeBytes);
  let length = 0;
  for await (const chunk of chunks) {
    if (length + chunk.length > sizeBytes) throw wrongSize(key, sizeBytes);
    body.set(chunk, length);
    length += chunk.length;
  }
  if (length < sizeBytes) throw wrongSize(key, sizeBytes);
  return body;
}

function wrongSize(key: string, sizeBytes: number): DewyError {
  return new DewyError("network-unreachable", `read ${key}: cut before its ${sizeBytes} bytes were there`);
}
