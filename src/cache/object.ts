import { DewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ObjectStore, StoredObject } from "../store/store.ts";
import type { Call } from "../util/async.ts";
import type { Cache, CacheEntry, Version } from "./cache.ts";
import { logDamaged } from "./damage.ts";
import { fileNameOf, keyOf } from "./key.ts";

const maxValueBytes = 64 * 1024 * 1024;

interface ObjectCacheDeps {
  readonly log: Log;
}

/** A cache of a store's objects, one a key, named as the Go original names them: a directory, S3, GCS. */
export function openObjectCache(store: ObjectStore, deps: ObjectCacheDeps): Cache {
  /** Only what was found damaged goes: somebody may have repaired it meanwhile. */
  const drop = async (key: string, damaged: Version, error: unknown, c: Call): Promise<null> => {
    logDamaged(deps.log, key, error);
    const now = await store.head(fileNameOf(key), c);
    if (now?.version === damaged) await store.delete(fileNameOf(key), c);
    return null;
  };
  return {
    maxValueBytes,

    async get(key, c) {
      const found = await store.get(fileNameOf(key), null, c);
      if (found === null) return null;
      const body = await bodyOf(found, key);
      const { version, digest } = found;
      if (digest === null || digest === `sha256:${Bun.SHA256.hash(body, "hex")}`) return { body, version };
      return drop(key, version, `not the bytes that were stored as ${digest}`, c);
    },

    async compareAndSwap(key, body, expected, c) {
      if (body.length > maxValueBytes) throw tooLarge(key, body.length);
      return store.put(fileNameOf(key), body, { ifVersion: expected }, c);
    },

    async putFile(key, file, c) {
      await store.putFile(fileNameOf(key), file, c);
    },

    async fetchFile(key, path, c) {
      const found = await store.head(fileNameOf(key), c);
      if (found === null) return null;
      try {
        return await store.fetchFile(fileNameOf(key), path, c);
      } catch (error) {
        if (!(error instanceof DewyError) || error.code !== "digest-mismatch") throw error;
        return drop(key, found.version, error, c);
      }
    },

    async delete(key, c) {
      await store.delete(fileNameOf(key), c);
    },

    async *list(prefix, c) {
      const entries: CacheEntry[] = [];
      // What lies deeper is nobody's entry.
      for await (const entry of store.list(fileNameOf(prefix), { delimiter: "/" }, c)) {
        const key = entry.kind === "object" ? keyOf(entry.key) : null;
        if (entry.kind === "prefix" || key === null) continue;
        entries.push({ key, sizeBytes: entry.sizeBytes, updatedAt: entry.updatedAt });
      }
      // Names are not in the order of the keys they stand for.
      yield* entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    },

    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
    },
  };
}

async function bodyOf({ chunks, sizeBytes }: StoredObject, key: string): Promise<Uint8Array> {
  if (sizeBytes > maxValueBytes) {
    await chunks[Symbol.asyncIterator]().return?.();
    throw tooLarge(key, sizeBytes);
  }
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

function tooLarge(key: string, sizeBytes: number): DewyError {
  const text = `${key} has ${sizeBytes} bytes; a cached value has at most ${maxValueBytes}`;
  return new DewyError("bad-answer", text, { retryable: false });
}

function wrongSize(key: string, sizeBytes: number): DewyError {
  return new DewyError("network-unreachable", `read ${key}: cut before its ${sizeBytes} bytes were there`);
}
