import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../../src/cache/cache.ts";
import type { Digest } from "../../src/release/release.ts";
import type { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

/** One cache for one test. Its disposal closes the cache and takes away what the test put there. */
export interface CacheFixture extends AsyncDisposable {
  /** Empty: a directory, a prefix, a key space of its own. */
  readonly cache: Cache;
  /** The log that the cache was given. */
  readonly log: ReturnType<typeof recordingLog>;
  /** Gives a file that was put other bytes of the same size, behind the cache's back. */
  corrupt(key: string): Promise<void>;
}

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

/** What every kind of cache must do. */
export function cacheContract(name: string, open: () => Promise<CacheFixture>): void {
  valueContract(name, open);
  fileContract(name, open);
  damageContract(name, open);
  keyContract(name, open);
}

function valueContract(name: string, open: () => Promise<CacheFixture>): void {
  describe(`${name} as a cache of values`, () => {
    test("a key that was never written is absent in every way", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      const path = join(dir.path, "file");
      expect(await cache.get("missing", c)).toBeNull();
      expect(await cache.fetchFile("missing", path, c)).toBeNull();
      expect(existsSync(path)).toBe(false);
      await cache.delete("missing", c);
      expect(await Array.fromAsync(cache.list("", c))).toEqual([]);
    });

    test("creating, changing and losing by version", async () => {
      await using fixture = await open();
      const { cache } = fixture;
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
      await using fixture = await open();
      const { cache } = fixture;
      expect(await cache.compareAndSwap("key", bytes("one"), "some-version", c)).toBeNull();
      expect(await cache.get("key", c)).toBeNull();
    });

    test("after a delete a key can be created again", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      const version = await cache.compareAndSwap("key", bytes("one"), null, c);
      await cache.delete("key", c);
      expect(await cache.get("key", c)).toBeNull();
      expect(await cache.compareAndSwap("key", bytes("two"), version, c)).toBeNull();
      expect(await cache.compareAndSwap("key", bytes("two"), null, c)).not.toBeNull();
    });

    test.each([["none", false] as const, ["the same version", true] as const])(
      "of 50 swaps at once that expect %s exactly one wins, and its bytes are stored",
      async (_, exists) => {
        await using fixture = await open();
        const { cache } = fixture;
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
      await using fixture = await open();
      const { cache } = fixture;
      const body = bytes("one");
      await cache.compareAndSwap("key", body, null, c);
      body.fill(0);
      (await cache.get("key", c))?.body.fill(0);
      expect(textOf((await cache.get("key", c))?.body)).toBe("one");
    });

    test("empty and large values", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      const large = new Uint8Array(400_000).fill(7);
      await cache.compareAndSwap("empty", new Uint8Array(), null, c);
      await cache.compareAndSwap("large", large, null, c);
      expect((await cache.get("empty", c))?.body).toHaveLength(0);
      expect((await cache.get("large", c))?.body).toEqual(large);
    });

    test("a value may be as large as the cache says", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      expect(cache.maxValueBytes).toBeGreaterThan(400_000);
      const tooLarge = new Uint8Array(cache.maxValueBytes + 1);
      await expect(cache.compareAndSwap("key", tooLarge, null, c)).rejects.toThrow("key");
      expect(await cache.get("key", c)).toBeNull();
    });
  });
}

function fileContract(name: string, open: () => Promise<CacheFixture>): void {
  describe(`${name} as a cache of files`, () => {
    test("a file goes in and comes out, also after the file that was put is gone", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      const [from, to] = [join(dir.path, "from"), join(dir.path, "to")];
      const file = fileOf(from, "content");
      await cache.putFile("key", file, c);
      await Bun.file(from).delete();
      expect(await cache.fetchFile("key", to, c)).toBe(file.digest);
      expect(readFileSync(to, "utf8")).toBe("content");
      expect(readdirSync(dir.path)).toEqual(["to"]);
    });

    test("a file larger than any value goes in and comes out", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      const content = Buffer.alloc(3_000_000);
      for (let at = 0; at < content.length; at += 1000) content.writeUInt32BE(at, at);
      const file = fileOf(join(dir.path, "from"), content);
      await cache.putFile("key", file, c);
      expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(file.digest);
      expect(readFileSync(join(dir.path, "to")).equals(content)).toBe(true);
    });

    test("an empty file is one", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      const file = fileOf(join(dir.path, "from"), "");
      await cache.putFile("key", file, c);
      expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(file.digest);
      expect(readFileSync(join(dir.path, "to"))).toHaveLength(0);
    });

    test("values and files share one space of keys", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      const [from, to] = [join(dir.path, "from"), join(dir.path, "to")];
      await cache.putFile("file", fileOf(from, "from a file"), c);
      expect(textOf((await cache.get("file", c))?.body)).toBe("from a file");
      expect(await cache.compareAndSwap("file", bytes("x"), null, c)).toBeNull();
      await cache.compareAndSwap("value", bytes("from bytes"), null, c);
      expect(await cache.fetchFile("value", to, c)).toBe(digestOf("from bytes"));
      expect(readFileSync(to, "utf8")).toBe("from bytes");
    });

    test("putting a file again replaces it", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      for (const content of ["old", "new"]) {
        await cache.putFile("key", fileOf(join(dir.path, content), content), c);
      }
      expect(await cache.fetchFile("key", join(dir.path, "out"), c)).toBe(digestOf("new"));
      expect(readFileSync(join(dir.path, "out"), "utf8")).toBe("new");
    });

    test("a file that can't be put leaves what was stored", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      await cache.compareAndSwap("key", bytes("old"), null, c);
      const missing = { path: join(dir.path, "missing"), digest: digestOf("") };
      await expect(cache.putFile("key", missing, c)).rejects.toMatchObject({
        code: "filesystem",
      });
      expect(textOf((await cache.get("key", c))?.body)).toBe("old");
      expect(await keysOf(cache)).toEqual(["key"]);
    });

    test("fetching does not overwrite a file that is there", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      const path = join(dir.path, "mine");
      writeFileSync(path, "mine");
      await cache.compareAndSwap("key", bytes("stored"), null, c);
      await expect(cache.fetchFile("key", path, c)).rejects.toMatchObject({ code: "filesystem" });
      expect(readFileSync(path, "utf8")).toBe("mine");
    });

    test("a list tells sizes and times of writing", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      await cache.compareAndSwap("a value", bytes("12345"), null, c);
      await cache.putFile("file", fileOf(join(dir.path, "from"), Buffer.alloc(1_500_000)), c);
      const entries = await Array.fromAsync(cache.list("", c));
      expect(entries.map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
        ["a value", 5],
        ["file", 1_500_000],
      ]);
      for (const { updatedAt } of entries) {
        expect(Math.abs(updatedAt.getTime() - Date.now())).toBeLessThan(60_000);
      }
    });

    test("a deleted file is a miss", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      await cache.putFile("key", fileOf(join(dir.path, "from"), "content"), c);
      await cache.delete("key", c);
      expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBeNull();
      expect(await keysOf(cache)).toEqual([]);
      expect(fixture.log.records).toEqual([]);
    });

    test("a stopped call stops with its reason", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      using dir = tempDir();
      const stop = new AbortController();
      const reason = new Error("stop");
      stop.abort(reason);
      const file = fileOf(join(dir.path, "from"), "content");
      await expect(cache.get("key", stop)).rejects.toBe(reason);
      await expect(cache.compareAndSwap("key", bytes("x"), null, stop)).rejects.toBe(reason);
      await expect(cache.putFile("key", file, stop)).rejects.toBe(reason);
      await expect(cache.fetchFile("key", join(dir.path, "to"), stop)).rejects.toBe(reason);
      await expect(cache.delete("key", stop)).rejects.toBe(reason);
      await expect(Array.fromAsync(cache.list("", stop))).rejects.toBe(reason);
      expect(await keysOf(cache)).toEqual([]);
    });
  });
}

/** Whatever happens to bytes on their way or at rest: nobody gets them, and the next put heals it. */
function damageContract(name: string, open: () => Promise<CacheFixture>): void {
  describe(`${name} as a cache that is damaged`, () => {
    test.each([
      ["small", "content"],
      ["large", Buffer.alloc(1_500_000, "content")],
    ])("a %s damaged file is a miss with one WARN, and is dropped; a put repairs it", async (_, content) => {
      await using fixture = await open();
      const { cache, log } = fixture;
      using dir = tempDir();
      const file = fileOf(join(dir.path, "from"), content);
      await cache.putFile("v1--app.zip", file, c);
      await fixture.corrupt("v1--app.zip");
      expect(await cache.fetchFile("v1--app.zip", join(dir.path, "to"), c)).toBeNull();
      expect(readdirSync(dir.path)).toEqual(["from"]);
      expect(log.at("warn")).toEqual(["Cached artifact damaged; dropped"]);
      expect(log.records[0]?.attributes).toMatchObject({ cache_key: "v1--app.zip" });
      expect(await keysOf(cache)).toEqual([]);
      expect(await cache.fetchFile("v1--app.zip", join(dir.path, "to"), c)).toBeNull();
      await cache.putFile("v1--app.zip", fileOf(file.path, content), c);
      expect(await cache.fetchFile("v1--app.zip", join(dir.path, "to"), c)).toBe(file.digest);
      expect(log.records).toHaveLength(1);
    });

    test("a damaged file is no value either", async () => {
      await using fixture = await open();
      const { cache, log } = fixture;
      using dir = tempDir();
      await cache.putFile("key", fileOf(join(dir.path, "from"), "content"), c);
      await fixture.corrupt("key");
      expect(await cache.get("key", c)).toBeNull();
      expect(log.at("warn")).toEqual(["Cached artifact damaged; dropped"]);
      expect(await cache.compareAndSwap("key", bytes("new"), null, c)).not.toBeNull();
      expect(textOf((await cache.get("key", c))?.body)).toBe("new");
    });
  });
}

function keyContract(name: string, open: () => Promise<CacheFixture>): void {
  describe(`${name} as a cache of any key`, () => {
    test.each(awkwardKeys.map((key) => [JSON.stringify(key), key] as const))(
      "the key %s round-trips",
      async (_, key) => {
        await using fixture = await open();
        const { cache } = fixture;
        using dir = tempDir();
        await cache.compareAndSwap(key, bytes("value"), null, c);
        expect(textOf((await cache.get(key, c))?.body)).toBe("value");
        expect(await cache.fetchFile(key, join(dir.path, "out"), c)).toBe(digestOf("value"));
        expect(await keysOf(cache)).toEqual([key]);
        expect(await keysOf(cache, key)).toEqual([key]);
        await cache.delete(key, c);
        expect(await cache.get(key, c)).toBeNull();
        expect(await Array.fromAsync(cache.list("", c))).toEqual([]);
      },
    );

    test("awkward keys don't fall together", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      for (const key of awkwardKeys) await cache.compareAndSwap(key, bytes(key), null, c);
      const listed = await keysOf(cache);
      expect(listed.toSorted()).toEqual(awkwardKeys.toSorted());
      for (const key of awkwardKeys) expect(textOf((await cache.get(key, c))?.body)).toBe(key);
    });

    test("listing by prefix, in order", async () => {
      await using fixture = await open();
      const { cache } = fixture;
      for (const key of ["b", "a/2", "a/1", "ab", "/a"]) await cache.compareAndSwap(key, bytes("x"), null, c);
      expect(await keysOf(cache, "a/")).toEqual(["a/1", "a/2"]);
      expect(await keysOf(cache, "a")).toEqual(["a/1", "a/2", "ab"]);
      expect(await keysOf(cache, "nothing")).toEqual([]);
    });
  });
}

function digestOf(content: string | Uint8Array): Digest {
  return `sha256:${new Bun.CryptoHasher("sha256").update(content).digest("hex")}`;
}

function fileOf(path: string, content: string | Uint8Array) {
  writeFileSync(path, content);
  return { path, digest: digestOf(content) };
}

async function keysOf(cache: Cache, prefix = ""): Promise<string[]> {
  const entries = await Array.fromAsync(cache.list(prefix, c));
  return entries.map(({ key }) => key);
}
