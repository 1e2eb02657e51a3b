import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Version } from "../cache.ts";
import type { KeyValue, SetOptions, ValueKind } from "../key-value.ts";
import { stamp, stampBytes, unstamp } from "../stamp.ts";
import { type Commands, defaultDeadlines, RedisConnection, type RedisDeps } from "./connection.ts";
import type { RedisOptions } from "./url.ts";

/** So much is copied while nobody else is served. */
const maxValueBytes = 1024 * 1024;
const scanCount = "1000";
const deletedAtOnce = 500;
/** A chunk is written before the head that names it, and may be read until that one has gone. */
const chunkGraceMs = 2 * 3_600_000;

/** KEYS[1]; ARGV: the expected version (empty: none), the value, milliseconds until it expires (0: never). */
const swapScript = `if redis.call('GETRANGE', KEYS[1], 0, ${stampBytes - 1}) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`;
const deleteScript = `if redis.call('GETRANGE', KEYS[1], 0, ${stampBytes - 1}) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;

/** Values with their versions before them, so that a script can compare and swap them at once. */
export function openRedisKeyValue(options: RedisOptions, deps: RedisDeps): KeyValue {
  return new RedisKeyValue(options, deps);
}

class RedisKeyValue implements KeyValue {
  readonly maxValueBytes = maxValueBytes - stampBytes;
  readonly ttlMs: number | null;
  readonly #connection: RedisConnection;
  readonly #limits: Readonly<Record<ValueKind, number>>;
  readonly #prefix: string;

  constructor(options: RedisOptions, deps: RedisDeps) {
    this.ttlMs = options.ttlMs;
    this.#connection = new RedisConnection(options, deps);
    this.#limits = deps.deadlines ?? defaultDeadlines;
    this.#prefix = `${options.prefix}:`;
  }

  async get(key: string, kind: ValueKind, c: Call): Promise<{ body: Uint8Array; version: Version } | null> {
    const name = this.#prefix + key;
    const value = await this.#run("read", this.#limits[kind], (redis) => redis.getBuffer(name), c);
    return value === null ? null : unstamp(value);
  }

  async set(key: string, body: Uint8Array, options: SetOptions, c: Call): Promise<Version | null> {
    const { kind, expected } = options;
    const { value, version } = stamp(body);
    const name = this.#prefix + key;
    const ttlMs = this.#ttlOf(kind);
    const won = await this.#run(
      "write",
      this.#limits[kind],
      async (redis) => {
        if (expected !== undefined) return this.#swap(redis, [name, expected ?? "", value, String(ttlMs)]);
        await (ttlMs === 0 ? redis.set(name, value) : redis.set(name, value, "PX", ttlMs));
        return true;
      },
      c,
    );
    return won ? version : null;
  }

  async delete(keys: readonly string[], c: Call): Promise<void> {
    for (let at = 0; at < keys.length; at += deletedAtOnce) {
      const names = keys.slice(at, at + deletedAtOnce).map((key) => this.#prefix + key);
      await this.#run("clear", this.#limits.head, (redis) => redis.send("UNLINK", names), c);
    }
  }

  async deleteVersion(key: string, version: Version, c: Call): Promise<boolean> {
    const args = [deleteScript, "1", this.#prefix + key, Buffer.from(version, "latin1")];
    return this.#run("clear", this.#limits.head, async (redis) => (await redis.send("EVAL", args)) === 1, c);
  }

  async *list(prefix: string, c: Call): AsyncIterable<string> {
    // A key may come more than once.
    const seen = new Set<string>();
    let cursor = "0";
    do {
      const args = [cursor, "MATCH", `${this.#prefix}${prefix}*`, "COUNT", scanCount];
      const page = await this.#run(
        "list",
        this.#limits.head,
        async (redis) => readPage(await redis.send("SCAN", args)),
        c,
      );
      cursor = page.cursor;
      for (const name of page.names) {
        if (seen.has(name)) continue;
        seen.add(name);
        yield name.slice(this.#prefix.length);
      }
    } while (cursor !== "0");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  #run<T>(verb: string, limitMs: number, work: (redis: Commands) => Promise<T>, c: Call): Promise<T> {
    return this.#connection.run(`${verb} the cache`, limitMs, work, c);
  }

  async #swap(
    redis: Commands,
    [name, expected, value, ttlMs]: readonly [string, string, Uint8Array, string],
  ) {
    const args = [swapScript, "1", name, Buffer.from(expected, "latin1"), value, ttlMs];
    return (await redis.send("EVAL", args)) === 1;
  }

  #ttlOf(kind: ValueKind): number {
    if (this.ttlMs === null) return 0;
    return Math.ceil(this.ttlMs) + (kind === "chunk" ? chunkGraceMs : 0);
  }
}

function readPage(reply: unknown): { readonly cursor: string; readonly names: readonly string[] } {
  const [cursor, names] = Array.isArray(reply) ? reply : [];
  if (typeof cursor !== "string" || !Array.isArray(names)) {
    throw new DewyError("bad-answer", "list the cache: redis answered SCAN with something else");
  }
  return { cursor, names: names.filter((name) => typeof name === "string") };
}
