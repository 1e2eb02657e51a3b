import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openMemoryCache } from "../../src/cache/memory.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { type CacheFixture, cacheContract } from "./contract.ts";

const c = { signal: new AbortController().signal };

cacheContract("memory://", async () => memoryFixture());

/** Memory does not rot; what is said of a file may be wrong, which looks the same. */
function memoryFixture(): CacheFixture {
  const log = recordingLog();
  const cache = openMemoryCache({ log });
  return {
    cache,
    log,
    async corrupt(key) {
      using dir = tempDir();
      const path = join(dir.path, "file");
      const digest = await cache.fetchFile(key, path, c);
      if (digest === null) throw new Error(`${key} is not there`);
      writeFileSync(path, readFileSync(path).fill(0x21));
      await cache.putFile(key, { path, digest }, c);
    },
    [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
  };
}

describe("memory cache", () => {
  test("the oldest files make room for a new one; values stay", async () => {
    await using cache = openMemoryCache({ log: recordingLog() }, 10);
    using dir = tempDir();
    await cache.compareAndSwap("value", new Uint8Array(20), null, c);
    for (const name of ["a", "b", "a", "c"]) await cache.putFile(name, fileOf(dir.path, "1234"), c);
    const entries = await Array.fromAsync(cache.list("", c));
    expect(entries.map(({ key }) => key)).toEqual(["a", "c", "value"]);
  });

  test("a file larger than the limit is not kept, and neither is what it replaces", async () => {
    await using cache = openMemoryCache({ log: recordingLog() }, 10);
    using dir = tempDir();
    for (const content of ["small", "larger than ten bytes"]) {
      await cache.putFile("key", fileOf(dir.path, content), c);
    }
    expect(await cache.get("key", c)).toBeNull();
  });
});

function fileOf(directory: string, content: string) {
  const path = join(directory, "file");
  writeFileSync(path, content);
  return { path, digest: `sha256:${Bun.SHA256.hash(content, "hex")}` as const };
}
