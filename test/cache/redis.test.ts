import { describe, expect, test } from "bun:test";
import { openChunkedCache } from "../../src/cache/chunked/cache.ts";
import { chunkPrefix, headName } from "../../src/cache/chunked/names.ts";
import { silentLog } from "../../src/log.ts";
import { systemClock } from "../../src/util/time.ts";
import { redisAt } from "../support/cache-clients.ts";
import { chunkedFixture, fileOfSize, keysOf } from "../support/chunked-cache.ts";
import { type RedisServer, sharedRedis, startRedis } from "../support/redis-server.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { cacheContract } from "./contract.ts";

cacheContract("redis://", async () => {
  const { url } = await sharedRedis();
  return chunkedFixture(redisAt(`${url}?prefix=test-${crypto.randomUUID()}`));
});

const c = { signal: new AbortController().signal };
const hourMs = 3_600_000;

describe("redis with a ttl", () => {
  const remaining = async (server: RedisServer, name: string) => Number(await server.command("PTTL", name));

  test("lets all that is written expire, chunks later than the heads that name them", async () => {
    const server = await sharedRedis();
    const prefix = crypto.randomUUID();
    await using kv = redisAt(`${server.url}?prefix=${prefix}&ttl=10h`);
    await using cache = openChunkedCache(kv, { clock: systemClock, log: silentLog });
    using dir = tempDir();
    await cache.putFile("file", fileOfSize(dir.path, 1_500_000), c);
    const version = await cache.compareAndSwap("value", Buffer.from("1"), null, c);
    await cache.compareAndSwap("value", Buffer.from("2"), version, c);
    const chunks = await Array.fromAsync(kv.list(chunkPrefix, c));
    expect(chunks).toHaveLength(3);
    for (const name of chunks) {
      const leftMs = await remaining(server, `${prefix}:${name}`);
      expect(leftMs).toBeGreaterThan(11 * hourMs);
      expect(leftMs).toBeLessThanOrEqual(12 * hourMs);
    }
    for (const key of ["file", "value"]) {
      const leftMs = await remaining(server, `${prefix}:${headName(key)}`);
      expect(leftMs).toBeGreaterThan(9 * hourMs);
      expect(leftMs).toBeLessThanOrEqual(10 * hourMs);
    }
  });

  test("takes what has expired for a miss, without a WARN", async () => {
    const server = await sharedRedis();
    const prefix = crypto.randomUUID();
    await using fixture = chunkedFixture(redisAt(`${server.url}?prefix=${prefix}&ttl=10h`));
    await fixture.cache.compareAndSwap("key", Buffer.from("x"), null, c);
    await server.command("PEXPIRE", `${prefix}:${headName("key")}`, "1");
    await until("it expired", async () => (await fixture.cache.get("key", c)) === null);
    expect(await keysOf(fixture.cache)).toEqual([]);
    expect(fixture.log.records).toEqual([]);
  });
});

describe("redis", () => {
  test("keeps the keys of another prefix apart, in lists too", async () => {
    const server = await sharedRedis();
    const prefix = crypto.randomUUID();
    await using one = chunkedFixture(redisAt(`${server.url}?prefix=${prefix}`));
    await using two = chunkedFixture(redisAt(`${server.url}?prefix=${prefix}2`));
    await one.cache.compareAndSwap("a", Buffer.from("x"), null, c);
    await two.cache.compareAndSwap("b", Buffer.from("x"), null, c);
    expect(await keysOf(one.cache)).toEqual(["a"]);
    expect(await keysOf(two.cache)).toEqual(["b"]);
  });

  test("lists its own among thousands of others' keys, each once", async () => {
    await using server = await startRedis({ settings: ["enable-debug-command local"] });
    await server.command("DEBUG", "POPULATE", "20000", "other");
    await using kv = redisAt(server.url);
    const names = Array.from({ length: 50 }, (_, index) => headName(`key ${index}`));
    for (const name of names) await kv.set(name, Buffer.from("x"), { kind: "head" }, c);
    expect((await Array.fromAsync(kv.list("", c))).toSorted()).toEqual(names.toSorted());
  });

  test("goes on after the server closed the idle connection, without an error in between", async () => {
    await using server = await startRedis();
    await using kv = redisAt(server.url);
    const name = headName("key");
    await kv.set(name, Buffer.from("x"), { kind: "head" }, c);
    for (const restart of [false, true]) {
      if (restart) await server.restart();
      else await server.command("CLIENT", "KILL", "TYPE", "NORMAL");
      expect((await kv.get(name, "head", c))?.body).toEqual(Buffer.from("x"));
    }
  });

  test("makes one connection for many calls at once, and ends it when it is closed", async () => {
    await using server = await startRedis();
    const clients = async () => (await server.command("CLIENT", "LIST")).split("\n").length - 1;
    const kv = redisAt(server.url);
    await Promise.all(Array.from({ length: 20 }, () => kv.get(headName("key"), "head", c)));
    expect(await clients()).toBe(1);
    await kv[Symbol.asyncDispose]();
    await until("the connection is gone", async () => (await clients()) === 0);
  });

  test("a call that is stopped takes no other with it", async () => {
    await using server = await startRedis();
    await using kv = redisAt(server.url);
    await kv.get(headName("key"), "head", c);
    server.pause();
    const stop = new AbortController();
    const stopped = kv.get(headName("key"), "head", stop);
    const other = kv.set(headName("key"), Buffer.from("x"), { kind: "head" }, c);
    const reason = new Error("stop");
    stop.abort(reason);
    await expect(stopped).rejects.toBe(reason);
    server.resume();
    expect(await other).not.toBeNull();
  });
});
