import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openMemoryCache, parseMemoryUrl } from "../../src/cache/memory.ts";
import { tempDir } from "../support/temp-dir.ts";
import { cacheContract } from "./contract.ts";

cacheContract("memory://", async () => openMemoryCache());

const c = { signal: new AbortController().signal };

describe("memory cache", () => {
  test("the oldest files make room for a new one; values stay", async () => {
    await using cache = openMemoryCache(10);
    using dir = tempDir();
    await cache.compareAndSwap("value", new Uint8Array(20), null, c);
    for (const name of ["a", "b", "c"]) {
      writeFileSync(join(dir.path, name), "1234");
      await cache.putFile(name, join(dir.path, name), c);
    }
    expect(await Array.fromAsync(cache.list("", c))).toEqual(["b", "c", "value"]);
  });

  test("a file larger than the limit is not kept, and neither is what it replaces", async () => {
    await using cache = openMemoryCache(10);
    using dir = tempDir();
    for (const content of ["small", "larger than ten bytes"]) {
      writeFileSync(join(dir.path, "file"), content);
      await cache.putFile("key", join(dir.path, "file"), c);
    }
    expect(await cache.get("key", c)).toBeNull();
  });

  test.each(["memory://", "memory:", "memory:///"])("%s is a memory cache", (url) => {
    expect(() => parseMemoryUrl(new URL(url))).not.toThrow();
  });

  test.each(["memory://host", "memory:///dir", "memory://?x=1", "memory://?registry-ttl=1s"])(
    "%s is refused",
    (url) => {
      expect(() => parseMemoryUrl(new URL(url))).toThrow();
    },
  );
});
