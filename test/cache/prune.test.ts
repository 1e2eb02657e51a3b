import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../../src/cache/cache.ts";
import { currentKey, leaseKeyOf } from "../../src/cache/key.ts";
import { openMemoryCache } from "../../src/cache/memory.ts";
import { pruneLeases, pruneToSize } from "../../src/cache/prune.ts";
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

test("what is kept stays under a key that says where it comes from, too", async () => {
  await using cache = await filled();
  expect(await pruneToSize(cache, 20, new Set(["v1.0.0--a"]), c)).toEqual(["v1.0.0--a.zip"]);
  await using other = await filled();
  await other.compareAndSwap("v1.0.0--a.zip@0123456789abcdef", new Uint8Array(10), null, c);
  const left = await pruneToSize(other, 1, new Set(["v1.0.0--a.zip"]), c);
  expect(left).toEqual(["v2.0.0--a.zip", "v3.0.0--a.zip"]);
});

test("leases go once they are older than they should ever be, and nothing else", async () => {
  await using cache = await filled();
  const before = (await Array.fromAsync(cache.list("", c))).length;
  await pruneLeases(cache, new Date(Date.now() - 60_000), c);
  expect((await Array.fromAsync(cache.list("", c))).length).toBe(before);
  await pruneLeases(cache, new Date(Date.now() + 60_000), c);
  expect((await Array.fromAsync(cache.list("", c))).length).toBe(before - 1);
  expect(await cache.get(leaseKeyOf("v9.0.0--a.zip"), c)).toBeNull();
});
