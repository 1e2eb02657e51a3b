import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../../src/cache/cache.ts";
import { openChunkedCache } from "../../src/cache/chunked/cache.ts";
import { decodeHead } from "../../src/cache/chunked/head.ts";
import { chunksOf } from "../../src/cache/chunked/heads.ts";
import { chunkName, headName } from "../../src/cache/chunked/names.ts";
import type { KeyValue } from "../../src/cache/key-value.ts";
import type { Digest } from "../../src/release/release.ts";
import { systemClock } from "../../src/util/time.ts";
import type { CacheFixture } from "../cache/contract.ts";
import { recordingLog } from "./recording.ts";

const c = { signal: new AbortController().signal };

/** A cache on `kv` for the contract; `clean` takes away what the test put there. */
export function chunkedFixture(
  kv: KeyValue,
  log = recordingLog(),
  clean: () => Promise<void> = async () => {},
): CacheFixture {
  const cache = openChunkedCache(kv, { clock: systemClock, log });
  return {
    cache,
    log,
    corrupt: (key) => corruptEntry(kv, key),
    async [Symbol.asyncDispose]() {
      await clean();
      await cache[Symbol.asyncDispose]();
    },
  };
}

/** Turns one bit of an entry: in its first chunk, or in its head where that holds all of it. */
export async function corruptEntry(kv: KeyValue, key: string): Promise<void> {
  const name = headName(key);
  const head = await kv.get(name, "head", c);
  const chunks = chunksOf(decodeHead(name, head?.body ?? new Uint8Array()));
  const [target, kind] =
    chunks === null ? [name, "head" as const] : [chunkName(chunks.id, 0), "chunk" as const];
  const value = await kv.get(target, kind, c);
  const bytes = Buffer.from(value?.body ?? []);
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  await kv.set(target, bytes, { kind }, c);
}

/** A file of so many bytes, no two kilobytes of which are the same, and another for another seed. */
export function fileOfSize(directory: string, sizeBytes: number, seed = 0) {
  const content = Buffer.alloc(sizeBytes, seed);
  for (let at = 0; at + 4 <= sizeBytes; at += 1000) content.writeUInt32BE(at, at);
  const path = join(directory, `file-${sizeBytes}-${seed}`);
  writeFileSync(path, content);
  const digest: Digest = `sha256:${Bun.SHA256.hash(content, "hex")}`;
  return { path, digest, content };
}

export async function keysOf(cache: Cache): Promise<string[]> {
  return (await Array.fromAsync(cache.list("", c))).map(({ key }) => key);
}
