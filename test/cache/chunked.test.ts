import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { openChunkedCache } from "../../src/cache/chunked/cache.ts";
import { decodeHead, encodeHead } from "../../src/cache/chunked/head.ts";
import { chunkName, chunkPrefix, headName, newChunkId } from "../../src/cache/chunked/names.ts";
import { stamp, unstamp } from "../../src/cache/stamp.ts";
import { chunkedFixture, fileOfSize, keysOf } from "../support/chunked-cache.ts";
import { FakeClock } from "../support/clock.ts";
import { type MemoryKeyValue, memoryKeyValue } from "../support/memory-key-value.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { cacheContract } from "./contract.ts";

cacheContract("chunks in memory", async () => chunkedFixture(memoryKeyValue()));

const c = { signal: new AbortController().signal };
const bytes = (text: string) => new TextEncoder().encode(text);
const chunkBytes = 100_000;
const hourMs = 3_600_000;

/** A host's cache on a service that others may use too. */
function host(kv: MemoryKeyValue = memoryKeyValue()) {
  const log = recordingLog();
  const clock = new FakeClock();
  const cache = openChunkedCache(kv, { log, clock }, { chunkBytes });
  const chunks = () => [...kv.values.keys()].filter((key) => key.startsWith(chunkPrefix));
  return { kv, log, clock, cache, chunks };
}

describe("a file in chunks", () => {
  test.each([65_536, 65_537, 99_999, 100_000, 100_001, 250_000])(
    "of %d bytes comes out as it went in, and leaves nothing when it is deleted",
    async (sizeBytes) => {
      const { cache, kv } = host();
      using dir = tempDir();
      const file = fileOfSize(dir.path, sizeBytes);
      await cache.putFile("key", file, c);
      expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(file.digest);
      expect(readFileSync(join(dir.path, "to")).equals(file.content)).toBe(true);
      expect((await cache.get("key", c))?.body).toEqual(new Uint8Array(file.content));
      await cache.delete("key", c);
      expect(kv.values.size).toBe(0);
    },
  );

  test("its head is written last, and the chunks of what it replaces go after that", async () => {
    const { cache, kv } = host();
    using dir = tempDir();
    const old = fileOfSize(dir.path, 250_000, 1);
    await cache.putFile("key", old, c);
    const done: string[] = [];
    kv.before = (operation) => {
      const keys = operation.verb === "delete" ? operation.keys : [];
      if (operation.verb === "set") done.push(operation.key.startsWith(chunkPrefix) ? "chunk" : "head");
      else if (keys.some((key) => kv.values.has(key))) done.push(`clear ${keys.length}`);
    };
    await cache.putFile("key", fileOfSize(dir.path, 350_000, 2), c);
    expect(done).toEqual(["chunk", "chunk", "chunk", "chunk", "head", "clear 3"]);
  });

  test("a writer that dies at any step leaves nothing, the old one or all of the new one", async () => {
    using dir = tempDir();
    const [old, fresh] = [fileOfSize(dir.path, 250_000, 1), fileOfSize(dir.path, 250_000, 2)];
    for (const before of [null, old]) {
      for (let step = 0, died = true; died; step++) {
        const { cache, kv } = host();
        if (before !== null) await cache.putFile("key", before, c);
        died = await diesAfter(kv, step, () => cache.putFile("key", fresh, c));
        const reader = host(kv);
        const to = join(dir.path, `to-${before === null}-${step}`);
        const digest = await reader.cache.fetchFile("key", to, c);
        expect([before?.digest ?? null, fresh.digest]).toContain(digest);
        if (!died) expect(digest).toBe(fresh.digest);
        expect(reader.log.at("warn")).toEqual([]);
        await reader.cache.putFile("key", fresh, c);
        expect(await reader.cache.fetchFile("key", `${to}-again`, c)).toBe(fresh.digest);
      }
    }
  });

  test("a writer whose service comes back while it gives up takes its chunks along", async () => {
    const { cache, kv, chunks } = host();
    using dir = tempDir();
    let sets = 0;
    kv.before = ({ verb }) => {
      if (verb === "set" && ++sets === 3) throw new Error("cut");
    };
    await expect(cache.putFile("key", fileOfSize(dir.path, 500_000), c)).rejects.toThrow("cut");
    expect(chunks()).toEqual([]);
  });

  test("of many writers at once one remains, whole, and no chunk of the others", async () => {
    const { kv, chunks, cache } = host();
    using dir = tempDir();
    const files = [1, 2, 3, 4, 5, 6].map((seed) => fileOfSize(dir.path, 250_000, seed));
    kv.before = () => Bun.sleep(0);
    await Promise.all(files.map((file) => host(kv).cache.putFile("key", file, c)));
    const digest = await cache.fetchFile("key", join(dir.path, "to"), c);
    expect(files.map((file) => file.digest)).toContain(digest ?? "sha256:");
    expect(chunks()).toHaveLength(3);
  });

  test.each([
    ["is shorter by now", (path: string) => truncateSync(path, 150_000)],
    ["has other bytes by now", (path: string) => writeFileSync(path, Buffer.alloc(250_000))],
    ["is small and another one by now", (path: string) => writeFileSync(path, "other")],
  ])("a file that %s is not stored", async (_, change) => {
    const { cache, chunks } = host();
    using dir = tempDir();
    await cache.compareAndSwap("key", bytes("old"), null, c);
    const file = fileOfSize(dir.path, 250_000);
    change(file.path);
    await expect(cache.putFile("key", file, c)).rejects.toMatchObject({ code: "filesystem" });
    expect(chunks()).toEqual([]);
    expect((await cache.get("key", c))?.body).toEqual(bytes("old"));
  });

  test("a value takes its place by its version, and its chunks go", async () => {
    const { cache, chunks } = host();
    using dir = tempDir();
    await cache.putFile("key", fileOfSize(dir.path, 250_000), c);
    const version = (await cache.get("key", c))?.version ?? "";
    expect(await cache.compareAndSwap("key", bytes("x"), null, c)).toBeNull();
    expect(await cache.compareAndSwap("key", bytes("x"), `${version}0`, c)).not.toBeNull();
    expect(chunks()).toEqual([]);
    expect(await cache.compareAndSwap("key", bytes("y"), version, c)).toBeNull();
    expect((await cache.get("key", c))?.body).toEqual(bytes("x"));
  });

  test("a file replaced in between is not replaced by its old version, and keeps its chunks", async () => {
    const { cache, chunks } = host();
    using dir = tempDir();
    await cache.putFile("key", fileOfSize(dir.path, 250_000, 1), c);
    const version = (await cache.get("key", c))?.version ?? "";
    await cache.putFile("key", fileOfSize(dir.path, 250_000, 2), c);
    expect(await cache.compareAndSwap("key", bytes("x"), version, c)).toBeNull();
    expect(chunks()).toHaveLength(3);
  });

  test("is no value when it is larger than 64 MiB", async () => {
    const { cache, kv } = host();
    const chunks = { id: newChunkId(new Date()), chunkBytes: 1_000_000, count: 68 };
    const sizeBytes = 68_000_000;
    const digest = `sha256:${"0".repeat(64)}` as const;
    const content = { kind: "chunked", chunks } as const;
    const head = { key: "key", sizeBytes, digest, writtenAt: new Date(), content };
    kv.values.set(headName("key"), stamp(encodeHead(head)).value);
    await expect(cache.get("key", c)).rejects.toMatchObject({ code: "bad-answer" });
    expect(await keysOf(cache)).toEqual(["key"]);
  });
});

/** Runs `work` on a service that is gone after so many operations; answers whether it was missed. */
async function diesAfter(
  kv: MemoryKeyValue,
  operations: number,
  work: () => Promise<unknown>,
): Promise<boolean> {
  let left = operations;
  kv.before = () => {
    if (left-- <= 0) throw new Error("gone");
  };
  const outcome = await work().then(
    () => "done",
    () => "failed",
  );
  kv.before = () => {};
  return outcome === "failed";
}

describe("a damaged entry", () => {
  const flip = (value: Uint8Array, at: number) =>
    value.map((byte, index) => (index === at ? byte ^ 1 : byte));
  const edit = (kv: MemoryKeyValue, key: string, change: (value: Uint8Array) => Uint8Array) =>
    kv.values.set(key, change(kv.values.get(key) ?? new Uint8Array()));
  const swapText = (from: string, to: string) => (value: Uint8Array) =>
    Buffer.from(Buffer.from(value).toString("latin1").replace(from, to), "latin1");

  const damages: readonly (readonly [string, (kv: MemoryKeyValue, chunk: string) => void])[] = [
    ["whose chunk is lost", (kv, chunk) => kv.values.delete(chunk)],
    ["whose chunk is short", (kv, chunk) => edit(kv, chunk, (value) => value.slice(0, -1))],
    ["whose chunk is long", (kv, chunk) => edit(kv, chunk, (value) => Buffer.concat([value, value]))],
    ["whose chunk is empty", (kv, chunk) => edit(kv, chunk, () => new Uint8Array())],
    ["with one bit turned", (kv, chunk) => edit(kv, chunk, (value) => flip(value, value.length - 1))],
    ["whose head is cut", (kv) => edit(kv, headName("key"), (value) => value.slice(0, 60))],
    ["whose head is empty", (kv) => edit(kv, headName("key"), () => new Uint8Array())],
    ["whose head is something else", (kv) => kv.values.set(headName("key"), bytes("hello\nworld"))],
    [
      "whose head is of another key",
      (kv) => edit(kv, headName("key"), swapText('"key":"key"', '"key":"kez"')),
    ],
    ["whose head has bytes too", (kv) => edit(kv, headName("key"), (value) => Buffer.concat([value, value]))],
    ["whose head says more chunks", (kv) => edit(kv, headName("key"), swapText('"count":3', '"count":4'))],
    ["whose head says less chunks", (kv) => edit(kv, headName("key"), swapText('"count":3', '"count":2'))],
    ["whose head says no chunks", (kv) => edit(kv, headName("key"), swapText('"count":3', '"count":0'))],
    [
      "whose head has another digest",
      (kv) => edit(kv, headName("key"), (value) => swapText("sha256:", "sha256:0")(value)),
    ],
  ];

  test.each(damages)("%s is dropped with one WARN and a miss; a put repairs it", async (_, damage) => {
    const { cache, kv, log, chunks } = host();
    using dir = tempDir();
    const file = fileOfSize(dir.path, 250_000);
    await cache.putFile("key", file, c);
    damage(kv, chunks()[1] ?? "");
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBeNull();
    expect(existsSync(join(dir.path, "to"))).toBe(false);
    expect(await keysOf(cache)).toEqual([]);
    expect(await cache.get("key", c)).toBeNull();
    expect(log.at("warn")).toEqual(["Cached artifact damaged; dropped"]);
    await cache.putFile("key", file, c);
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(file.digest);
    expect(log.records).toHaveLength(1);
  });

  test("with a chunk that is too long is no value either, and the log says why", async () => {
    const { cache, kv, log, chunks } = host();
    using dir = tempDir();
    await cache.putFile("key", fileOfSize(dir.path, 250_000), c);
    edit(kv, chunks()[2] ?? "", (value) => Buffer.concat([value, value]));
    expect(await cache.get("key", c)).toBeNull();
    const error = "chunk 3 of 3 has 100022 bytes instead of 50000";
    expect(log.records).toMatchObject([{ attributes: { cache_key: "key", error } }]);
  });

  test("does not keep a list from the others", async () => {
    const { cache, kv, log } = host();
    for (const key of ["a", "b", "c"]) await cache.compareAndSwap(key, bytes(key), null, c);
    edit(kv, headName("b"), (value) => flip(value, value.length - 1));
    expect(await keysOf(cache)).toEqual(["a", "c"]);
    expect(log.at("warn")).toEqual(["Cached artifact damaged; dropped"]);
  });

  test("is told of once, by many readers at once", async () => {
    const { cache, log, chunks, kv } = host();
    using dir = tempDir();
    await cache.putFile("key", fileOfSize(dir.path, 250_000), c);
    kv.values.delete(chunks()[0] ?? "");
    kv.before = () => Bun.sleep(0);
    const fetched = [1, 2, 3, 4].map((reader) => cache.fetchFile("key", join(dir.path, `to-${reader}`), c));
    expect(await Promise.all(fetched)).toEqual([null, null, null, null]);
    expect(log.at("warn")).toHaveLength(1);
  });

  test("that is repaired meanwhile is not dropped", async () => {
    const { cache, log, chunks, kv } = host();
    using dir = tempDir();
    const file = fileOfSize(dir.path, 250_000);
    await cache.putFile("key", file, c);
    kv.values.delete(chunks()[2] ?? "");
    kv.before = async ({ verb }) => {
      if (verb !== "deleteVersion") return;
      kv.before = () => {};
      await host(kv).cache.putFile("key", file, c);
    };
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(file.digest);
    expect(log.at("warn")).toEqual([]);
  });

  test("stays as it is when it can't be asked", async () => {
    const { cache, kv, log } = host();
    using dir = tempDir();
    const file = fileOfSize(dir.path, 250_000);
    await cache.putFile("key", file, c);
    for (let step = 0, failed = true; failed; step++) {
      failed = await diesAfter(kv, step, async () => {
        await cache.fetchFile("key", join(dir.path, `to-${step}`), c);
      });
    }
    expect(log.records).toEqual([]);
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(file.digest);
  });
});

describe("an entry that changes while it is read", () => {
  test.each([0, 1, 2])("replaced before chunk %d is read: the new one comes out whole", async (index) => {
    const { cache, kv, log } = host();
    using dir = tempDir();
    const [old, fresh] = [fileOfSize(dir.path, 250_000, 1), fileOfSize(dir.path, 350_000, 2)];
    await cache.putFile("key", old, c);
    onChunk(kv, index, () => host(kv).cache.putFile("key", fresh, c));
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(fresh.digest);
    expect(readFileSync(join(dir.path, "to")).equals(fresh.content)).toBe(true);
    expect(log.records).toEqual([]);
  });

  test("a file that appears meanwhile where it is fetched to is not replaced", async () => {
    const { cache, kv } = host();
    using dir = tempDir();
    const to = join(dir.path, "to");
    await cache.putFile("key", fileOfSize(dir.path, 250_000), c);
    onChunk(kv, 1, async () => writeFileSync(to, "mine"));
    await expect(cache.fetchFile("key", to, c)).rejects.toMatchObject({ code: "filesystem" });
    expect(readFileSync(to, "utf8")).toBe("mine");
    expect(readdirSync(dir.path)).toHaveLength(2);
  });

  test("replaced by a value: the value comes out", async () => {
    const { cache, kv } = host();
    using dir = tempDir();
    await cache.putFile("key", fileOfSize(dir.path, 250_000), c);
    onChunk(kv, 1, async () => {
      await host(kv).cache.delete("key", c);
      await host(kv).cache.compareAndSwap("key", bytes("value"), null, c);
    });
    expect((await cache.get("key", c))?.body).toEqual(bytes("value"));
  });

  test("deleted: a miss without a WARN", async () => {
    const { cache, kv, log } = host();
    using dir = tempDir();
    await cache.putFile("key", fileOfSize(dir.path, 250_000), c);
    onChunk(kv, 1, () => host(kv).cache.delete("key", c));
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBeNull();
    expect(log.records).toEqual([]);
  });

  test("replaced again and again: a miss, and the last one stays", async () => {
    const { cache, kv, log } = host();
    using dir = tempDir();
    const file = fileOfSize(dir.path, 250_000);
    await cache.putFile("key", file, c);
    const replace = (): void => onChunk(kv, 1, () => host(kv).cache.putFile("key", file, c).then(replace));
    replace();
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBeNull();
    kv.before = () => {};
    expect(log.at("warn")).toEqual([]);
    expect(await cache.fetchFile("key", join(dir.path, "to"), c)).toBe(file.digest);
  });

  /** Does something once, before that chunk of any entry is read. */
  function onChunk(kv: MemoryKeyValue, index: number, act: () => Promise<unknown>): void {
    kv.before = async (operation) => {
      if (operation.verb !== "get" || !operation.key.endsWith(`/${index}`)) return;
      kv.before = () => {};
      await act();
    };
  }

  test("in any order of steps of writers and readers: whole entries, no WARN, no chunk left behind", async () => {
    using dir = tempDir();
    const files = [1, 2, 3].map((seed) => fileOfSize(dir.path, 70_000 + seed * 60_000, seed));
    const digests = files.map((file) => file.digest);
    let run = 0;
    const actions = fc.array(fc.constantFrom("put", "fetch", "swap", "delete"), {
      minLength: 2,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), actions, async (scheduler, verbs) => {
        const { cache, kv, log, chunks } = host();
        kv.before = () => scheduler.schedule(Promise.resolve());
        const fetched: (string | null)[] = [];
        const acting = verbs.map(async (verb, index) => {
          const file = files[index % files.length] ?? fileOfSize(dir.path, 1);
          if (verb === "put") await cache.putFile("key", file, c);
          else if (verb === "delete") await cache.delete("key", c);
          else if (verb === "fetch") {
            fetched.push(await cache.fetchFile("key", join(dir.path, `to-${run++}`), c));
          } else {
            const seen = await cache.get("key", c);
            await cache.compareAndSwap("key", bytes("value"), seen?.version ?? null, c);
          }
        });
        await scheduler.waitFor(Promise.all(acting));
        const value = `sha256:${Bun.SHA256.hash("value", "hex")}`;
        for (const digest of fetched) expect([null, value, ...digests]).toContain(digest);
        expect(log.at("warn")).toEqual([]);
        kv.before = () => {};
        await cache.delete("key", c);
        expect(chunks()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("chunks of writers that died", () => {
  const orphan = (kv: MemoryKeyValue, begun: Date) => {
    const id = newChunkId(begun);
    for (const index of [0, 1]) kv.values.set(chunkName(id, index), stamp(bytes("orphan")).value);
  };
  const put = async ({ cache }: ReturnType<typeof host>, key: string) => {
    using dir = tempDir();
    await cache.putFile(key, fileOfSize(dir.path, 250_000), c);
  };

  const swept = ({ log }: ReturnType<typeof host>) =>
    until("the sweep is over", () => log.records.find(({ message }) => message.startsWith("Orphaned")));

  test("go an hour after they were begun, after the next put; younger ones' writers may be at work", async () => {
    const writer = host();
    orphan(writer.kv, writer.clock.now());
    await writer.clock.advance(2);
    orphan(writer.kv, writer.clock.now());
    await writer.clock.advance(hourMs - 1);
    await put(writer, "key");
    await swept(writer);
    expect(writer.chunks()).toHaveLength(5);
    expect(writer.log.records).toMatchObject([{ level: "info", attributes: { count: 2 } }]);
  });

  test("are looked for once an hour only, and not in a process's first one", async () => {
    const writer = host();
    let lists = 0;
    writer.kv.before = (operation) => {
      if (operation.verb === "list" && operation.prefix === chunkPrefix) lists++;
    };
    const oldOnes = () => orphan(writer.kv, new Date(writer.clock.now().getTime() - 2 * hourMs));
    oldOnes();
    await put(writer, "a");
    await writer.clock.advance(hourMs - 1);
    await put(writer, "b");
    expect(lists).toBe(0);
    await writer.clock.advance(1);
    await put(writer, "c");
    await swept(writer);
    oldOnes();
    await put(writer, "d");
    await writer.clock.advance(hourMs - 1);
    await put(writer, "e");
    expect(lists).toBe(1);
    await writer.clock.advance(1);
    await put(writer, "f");
    await until("the second sweep is over", () => writer.chunks().length === 18 || undefined);
    expect(lists).toBe(2);
  });

  test("are not taken for those of old entries, nor for what others keep there", async () => {
    const writer = host();
    await put(writer, "old");
    writer.kv.values.set(`${chunkPrefix}notes`, bytes("somebody's"));
    orphan(writer.kv, writer.clock.now());
    await writer.clock.advance(2 * hourMs);
    await put(writer, "new");
    await swept(writer);
    expect(writer.chunks()).toHaveLength(7);
    expect(await keysOf(writer.cache)).toEqual(["new", "old"]);
  });

  test("go by themselves where entries expire", async () => {
    const writer = host(memoryKeyValue({ ttlMs: 1000 }));
    await writer.clock.advance(2 * hourMs);
    writer.kv.before = ({ verb }) => expect(verb).not.toBe("list");
    await put(writer, "key");
    expect(writer.chunks()).toHaveLength(3);
  });

  test("that can't be looked for fail no put, and are told of once", async () => {
    const writer = host();
    await writer.clock.advance(hourMs);
    writer.kv.before = ({ verb }) => {
      if (verb === "list") throw new Error("no right to list");
    };
    await put(writer, "key");
    await swept(writer);
    expect(writer.log.at("warn")).toEqual(["Orphaned cache chunks not removed"]);
    writer.kv.before = () => {};
    expect(await keysOf(writer.cache)).toEqual(["key"]);
  });

  test("that are slow to be looked for hold up neither a put nor the end", async () => {
    const writer = host();
    await writer.clock.advance(hourMs);
    const begun = Promise.withResolvers<void>();
    writer.kv.before = async ({ verb }) => {
      if (verb !== "list") return;
      begun.resolve();
      await new Promise(() => {});
    };
    await put(writer, "key");
    await begun.promise;
    await writer.cache[Symbol.asyncDispose]();
    expect(writer.log.records).toEqual([]);
  });
});

describe("a file larger than the cache takes", () => {
  const limited = (kv: MemoryKeyValue) => {
    const log = recordingLog();
    const maxFile = { sizeBytes: 100_000, record: "Artifact stays on this host" };
    return { log, cache: openChunkedCache(kv, { log, clock: new FakeClock() }, { maxFile }) };
  };

  test("is not stored, which the log says once for each key", async () => {
    const kv = memoryKeyValue();
    const { cache, log } = limited(kv);
    using dir = tempDir();
    const large = fileOfSize(dir.path, 100_001);
    for (const key of ["a", "b", "a", "a"]) await cache.putFile(key, large, c);
    expect(kv.values.size).toBe(0);
    expect(log.records).toMatchObject([
      { level: "info", message: "Artifact stays on this host", attributes: { key: "a", size: 100_001 } },
      { level: "info", message: "Artifact stays on this host", attributes: { key: "b", limit: 100_000 } },
    ]);
  });

  test("takes away what it would have replaced; one of just that size is stored", async () => {
    const kv = memoryKeyValue();
    const { cache } = limited(kv);
    using dir = tempDir();
    await cache.putFile("key", fileOfSize(dir.path, 100_000), c);
    expect(await keysOf(cache)).toEqual(["key"]);
    await cache.putFile("key", fileOfSize(dir.path, 100_001), c);
    expect(kv.values.size).toBe(0);
  });
});

describe("keys", () => {
  test("that are long and begin alike are told apart, and listed as they are", async () => {
    const { cache } = host();
    const keys = ["a", "b"].map((last) => `${"k/☃".repeat(200)}${last}`);
    for (const key of keys) await cache.compareAndSwap(key, bytes(key), null, c);
    expect(await keysOf(cache)).toEqual(keys);
    for (const key of keys) expect((await cache.get(key, c))?.body).toEqual(bytes(key));
    const prefix = keys[0]?.slice(0, 500) ?? "";
    expect(await Array.fromAsync(cache.list(prefix, c))).toHaveLength(2);
    expect(await Array.fromAsync(cache.list(keys[1] ?? "", c))).toHaveLength(1);
  });

  test("too long for any service are refused", async () => {
    const { cache, kv } = host();
    await expect(cache.compareAndSwap("k".repeat(1025), bytes("x"), null, c)).rejects.toThrow("too long");
    expect(kv.values.size).toBe(0);
  });

  test("of any kind become names that every service takes, distinct ones distinct", () => {
    const key = fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 400 }));
    fc.assert(
      fc.property(key, key, (one, other) => {
        expect(headName(one)).toMatch(/^[A-Za-z0-9._~/-]{1,256}$/);
        expect(headName(one)).not.toMatch(/\/(\.|$)|\/\//);
        if (one !== other) expect(headName(one)).not.toBe(headName(other));
      }),
    );
  });
});

test("whatever is read as a head is one, or null", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (value) => {
      expect(decodeHead(headName("key"), value)).toBeNull();
      expect(unstamp(value).body.length).toBe(Math.max(0, value.length - 22));
    }),
  );
});
