import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../../src/cache/cache.ts";
import { tempDir } from "../support/temp-dir.ts";

const c = { signal: new AbortController().signal };
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (body: Uint8Array | undefined) => new TextDecoder().decode(body);

const awkwardKeys = [
  "current",
  "v1.2.3--app_linux_amd64.tar.gz",
  "a/b/c",
  "../../outside",
  "..",
  ".",
  ".hidden",
  "/absolute",
  "with space and +build",
  "100%",
  "%2E",
  "%2F",
  "nul\0byte",
  "line\nbreak",
  "back\\slash",
  "ünï-☃",
  "name.tmp",
  "DEL\x7f",
  "trailing.",
  "k".repeat(150),
];

/** What every kind of cache must do. `open` answers an empty cache, which the contract closes. */
export function cacheContract(name: string, open: () => Promise<Cache>): void {
  describe(`${name} as a cache`, () => {
    test("a key that was never written is absent in every way", async () => {
      await using cache = await open();
      using dir = tempDir();
      const path = join(dir.path, "file");
      expect(await cache.get("missing", c)).toBeNull();
      expect(await cache.fetchFile("missing", path, c)).toBe(false);
      expect(existsSync(path)).toBe(false);
      await cache.delete("missing", c);
      expect(await Array.fromAsync(cache.list("", c))).toEqual([]);
    });

    test("creating, changing and losing by version", async () => {
      await using cache = await open();
      const first = await cache.compareAndSwap("key", bytes("one"), null, c);
      expect(first).not.toBeNull();
      expect(await cache.get("key", c)).toEqual({ body: expect.anything(), version: first ?? "" });
      expect(await cache.compareAndSwap("key", bytes("other"), null, c)).toBeNull();
      const second = await cache.compareAndSwap("key", bytes("two"), first, c);
      expect(second).not.toBeNull();
      expect(second).not.toBe(first);
      expect(await cache.compareAndSwap("key", bytes("three"), first, c)).toBeNull();
      const stored = await cache.get("key", c);
      expect(textOf(stored?.body)).toBe("two");
      expect(stored?.version).toBe(second ?? "");
    });

    test("a version is expected of a key that is not there: lost, and nothing written", async () => {
      await using cache = await open();
      expect(await cache.compareAndSwap("key", bytes("one"), "some-version", c)).toBeNull();
      expect(await cache.get("key", c)).toBeNull();
    });

    test("after a delete a key can be created again", async () => {
      await using cache = await open();
      const version = await cache.compareAndSwap("key", bytes("one"), null, c);
      await cache.delete("key", c);
      expect(await cache.get("key", c)).toBeNull();
      expect(await cache.compareAndSwap("key", bytes("two"), version, c)).toBeNull();
      expect(await cache.compareAndSwap("key", bytes("two"), null, c)).not.toBeNull();
    });

    test.each([["none", false] as const, ["the same version", true] as const])(
      "of 50 swaps at once that expect %s exactly one wins, and its bytes are stored",
      async (_, exists) => {
        await using cache = await open();
        const expected = exists ? await cache.compareAndSwap("key", bytes("first"), null, c) : null;
        const bodies = Array.from({ length: 50 }, (_, index) => `writer ${index}`);
        const versions = await Promise.all(
          bodies.map((body) => cache.compareAndSwap("key", bytes(body), expected, c)),
        );
        const winners = versions.flatMap((version, index) => (version === null ? [] : [index]));
        expect(winners).toHaveLength(1);
        const stored = await cache.get("key", c);
        expect(textOf(stored?.body)).toBe(bodies[winners[0] ?? -1] ?? "");
        expect(stored?.version).toBe(versions[winners[0] ?? -1] ?? "");
      },
    );

    test("what is got does not change what is stored, nor what was given to it", async () => {
      await using cache = await open();
      const body = bytes("one");
      await cache.compareAndSwap("key", body, null, c);
      body.fill(0);
      (await cache.get("key", c))?.body.fill(0);
      expect(textOf((await cache.get("key", c))?.body)).toBe("one");
    });

    test("empty and large values", async () => {
      await using cache = await open();
      const large = new Uint8Array(400_000).fill(7);
      await cache.compareAndSwap("empty", new Uint8Array(), null, c);
      await cache.compareAndSwap("large", large, null, c);
      expect((await cache.get("empty", c))?.body).toHaveLength(0);
      expect((await cache.get("large", c))?.body).toEqual(large);
    });

    test("a file goes in and comes out, also after the file that was put is gone", async () => {
      await using cache = await open();
      using dir = tempDir();
      const [from, to] = [join(dir.path, "from"), join(dir.path, "to")];
      writeFileSync(from, "content");
      await cache.putFile("key", from, c);
      await Bun.file(from).delete();
      expect(await cache.fetchFile("key", to, c)).toBe(true);
      expect(readFileSync(to, "utf8")).toBe("content");
    });

    test("values and files share one space of keys", async () => {
      await using cache = await open();
      using dir = tempDir();
      const [from, to] = [join(dir.path, "from"), join(dir.path, "to")];
      writeFileSync(from, "from a file");
      await cache.putFile("file", from, c);
      expect(textOf((await cache.get("file", c))?.body)).toBe("from a file");
      expect(await cache.compareAndSwap("file", bytes("x"), null, c)).toBeNull();
      await cache.compareAndSwap("value", bytes("from bytes"), null, c);
      expect(await cache.fetchFile("value", to, c)).toBe(true);
      expect(readFileSync(to, "utf8")).toBe("from bytes");
    });

    test("putting a file again replaces it", async () => {
      await using cache = await open();
      using dir = tempDir();
      for (const content of ["old", "new"]) {
        writeFileSync(join(dir.path, content), content);
        await cache.putFile("key", join(dir.path, content), c);
      }
      await cache.fetchFile("key", join(dir.path, "out"), c);
      expect(readFileSync(join(dir.path, "out"), "utf8")).toBe("new");
    });

    test("a file that can't be put leaves what was stored", async () => {
      await using cache = await open();
      using dir = tempDir();
      await cache.compareAndSwap("key", bytes("old"), null, c);
      await expect(cache.putFile("key", join(dir.path, "missing"), c)).rejects.toMatchObject({
        code: "filesystem",
      });
      expect(textOf((await cache.get("key", c))?.body)).toBe("old");
      expect(await Array.fromAsync(cache.list("", c))).toEqual(["key"]);
    });

    test("fetching does not overwrite a file that is there", async () => {
      await using cache = await open();
      using dir = tempDir();
      const path = join(dir.path, "mine");
      writeFileSync(path, "mine");
      await cache.compareAndSwap("key", bytes("stored"), null, c);
      await expect(cache.fetchFile("key", path, c)).rejects.toMatchObject({ code: "filesystem" });
      expect(readFileSync(path, "utf8")).toBe("mine");
    });

    test.each(awkwardKeys.map((key) => [JSON.stringify(key), key] as const))(
      "the key %s round-trips",
      async (_, key) => {
        await using cache = await open();
        using dir = tempDir();
        await cache.compareAndSwap(key, bytes("value"), null, c);
        expect(textOf((await cache.get(key, c))?.body)).toBe("value");
        expect(await cache.fetchFile(key, join(dir.path, "out"), c)).toBe(true);
        expect(await Array.fromAsync(cache.list("", c))).toEqual([key]);
        await cache.delete(key, c);
        expect(await cache.get(key, c)).toBeNull();
        expect(await Array.fromAsync(cache.list("", c))).toEqual([]);
      },
    );

    test("awkward keys don't fall together", async () => {
      await using cache = await open();
      for (const key of awkwardKeys) await cache.compareAndSwap(key, bytes(key), null, c);
      const listed = await Array.fromAsync(cache.list("", c));
      expect(listed.toSorted()).toEqual(awkwardKeys.toSorted());
      for (const key of awkwardKeys) expect(textOf((await cache.get(key, c))?.body)).toBe(key);
    });

    test("listing by prefix, in order", async () => {
      await using cache = await open();
      for (const key of ["b", "a/2", "a/1", "ab", "/a"]) await cache.compareAndSwap(key, bytes("x"), null, c);
      expect(await Array.fromAsync(cache.list("a/", c))).toEqual(["a/1", "a/2"]);
      expect(await Array.fromAsync(cache.list("a", c))).toEqual(["a/1", "a/2", "ab"]);
      expect(await Array.fromAsync(cache.list("nothing", c))).toEqual([]);
    });
  });
}
