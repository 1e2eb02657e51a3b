import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../../src/cache/cache.ts";
import { currentKey, leaseKeyOf } from "../../src/cache/key.ts";
import { openMemoryCache } from "../../src/cache/memory.ts";
import { pruneToSize } from "../../src/cache/prune.ts";
import { silentLog } from "../../src/log.ts";
import { tempDir } from "../support/temp-dir.ts";

const c = { signal: new AbortController().signal };
const artifacts = ["v1.0.0--a.zip", "v2.0.0--a.zip", "v3.0.0--a.zip"];

/** Artifacts of ten bytes each, the first one the oldest, and what else lies in a cache. */
async function filled(): Promise<Cache> {
  const cache = openMemoryCache({ log: silentLog });
  using dir = tempDir();
  const path = join(dir.path, "file");
  writeFileSync(path, "ten bytes!");
  const digest = `sha256:${Bun.SHA256.hash("ten bytes!", "hex")}` as const;
  const others = [currentKey, leaseKeyOf("v9.0.0--a.zip"), "dewy-registry/v1/0"];
  for (const key of others) await cache.compareAndSwap(key, new Uint8Array(100), null, c);
  for (const key of artifacts) {
    await cache.putFile(key, { path, digest }, c);
    await Bun.sleep(2); // the clock's grain
  }
  return cache;
}

describe("a cache with a limit", () => {
  test.each<[string, number, readonly string[], readonly string[]]>([
    ["all fit", 30, [], []],
    ["the oldest goes", 29, [], ["v1.0.0--a.zip"]],
    ["two go", 10, [], ["v1.0.0--a.zip", "v2.0.0--a.zip"]],
    ["what is kept stays, be it the oldest", 10, ["v1.0.0--a.zip"], ["v2.0.0--a.zip", "v3.0.0--a.zip"]],
    ["nothing fits", 1, ["v3.0.0--a.zip"], ["v1.0.0--a.zip", "v2.0.0--a.zip"]],
  ])("%s", async (_, maxBytes, kept, removed) => {
    await using cache = await filled();
    expect(await pruneToSize(cache, maxBytes, new Set(kept), c)).toEqual([...removed]);
    const left = (await Array.fromAsync(cache.list("", c))).map(({ key }) => key);
    const others = [currentKey, leaseKeyOf("v9.0.0--a.zip"), "dewy-registry/v1/0"];
    expect(left).toEqual([...others, ...artifacts.filter((key) => !removed.includes(key))].sort());
  });
});
