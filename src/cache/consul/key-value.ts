import type { Call } from "../../util/async.ts";
import type { Version } from "../cache.ts";
import type { KeyValue, SetOptions, ValueKind } from "../key-value.ts";
import { stamp, stampBytes, unstamp } from "../stamp.ts";
import { ConsulApi, type ConsulDeps, type ConsulRequest } from "./api.ts";
import type { ConsulOptions } from "./url.ts";
import { deletions, readEntry, readKeys, readWon } from "./wire.ts";

/** `limits.kv_max_value_size` as Consul is delivered. */
const maxValueBytes = 512 * 1024;
/** Without a leader a server holds a request for seven seconds before it says so. */
const defaultDeadlines: Readonly<Record<ValueKind, number>> = { head: 10_000, chunk: 30_000 };
/** Consul's limit of one transaction. */
const deletedAtOnce = 64;

/** Consul's KV store. Reads are in its `default` mode, so a read after a write sees it. */
export function openConsulKeyValue(options: ConsulOptions, deps: ConsulDeps): KeyValue {
  return new ConsulKeyValue(options, deps);
}

class ConsulKeyValue implements KeyValue {
  readonly maxValueBytes = maxValueBytes - stampBytes;
  readonly ttlMs = null;
  readonly #api: ConsulApi;
  readonly #prefix: string;
  readonly #limits: Readonly<Record<ValueKind, number>>;

  constructor(options: ConsulOptions, deps: ConsulDeps) {
    this.#api = new ConsulApi(options, deps);
    this.#prefix = `${options.prefix}/`;
    this.#limits = deps.deadlines ?? defaultDeadlines;
  }

  async get(key: string, kind: ValueKind, c: Call): Promise<{ body: Uint8Array; version: Version } | null> {
    // As JSON it would be larger by a third.
    const request = this.#request("GET", key, {
      query: ["raw"],
      doing: "read the cache",
      limitMs: this.#limits[kind],
    });
    const value = await this.#api.call(request, c);
    return value === null ? null : unstamp(value);
  }

  async set(key: string, body: Uint8Array, options: SetOptions, c: Call): Promise<Version | null> {
    const { kind, expected } = options;
    const { value, version } = stamp(body);
    const index = expected === undefined ? undefined : await this.#indexOf(key, expected, c);
    if (index === null) return null;
    const request = this.#request("PUT", key, {
      query: index === undefined ? [] : [`cas=${index}`],
      body: value,
      doing: "write the cache",
      limitMs: this.#limits[kind],
    });
    return (await this.#won(request, c)) ? version : null;
  }

  async delete(keys: readonly string[], c: Call): Promise<void> {
    for (let at = 0; at < keys.length; at += deletedAtOnce) {
      const names = keys.slice(at, at + deletedAtOnce).map((key) => this.#prefix + key);
      const body = deletions(names);
      const doing = "clear the cache";
      await this.#api.call({ method: "PUT", path: "/v1/txn", body, doing, limitMs: this.#limits.head }, c);
    }
  }

  async deleteVersion(key: string, version: Version, c: Call): Promise<boolean> {
    const index = await this.#indexOf(key, version, c);
    if (index === null) return false;
    const query = [`cas=${index}`];
    const request = this.#request("DELETE", key, {
      query,
      doing: "clear the cache",
      limitMs: this.#limits.head,
    });
    return this.#won(request, c);
  }

  async *list(prefix: string, c: Call): AsyncIterable<string> {
    const request = this.#request("GET", prefix, {
      query: ["keys"],
      doing: "list the cache",
      limitMs: this.#limits.chunk,
    });
    for (const key of (await this.#api.json(request, readKeys, c)) ?? []) {
      yield key.slice(this.#prefix.length);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Consul's index of that version; null when it is another one, 0 when none is expected. */
  async #indexOf(key: string, expected: Version | null, c: Call): Promise<number | null> {
    if (expected === null) return 0;
    const request = this.#request("GET", key, { doing: "read the cache", limitMs: this.#limits.head });
    const entry = await this.#api.json(request, readEntry, c);
    return entry !== null && unstamp(entry.value).version === expected ? entry.modifyIndex : null;
  }

  async #won(request: ConsulRequest, c: Call): Promise<boolean> {
    const text = Buffer.from((await this.#api.call(request, c)) ?? []).toString();
    const won = readWon(text);
    if (won === null) throw this.#api.odd(request, "neither true nor false");
    return won;
  }

  #request(
    method: ConsulRequest["method"],
    key: string,
    rest: Omit<ConsulRequest, "method" | "path">,
  ): ConsulRequest {
    return { method, path: `/v1/kv/${this.#prefix}${key}`, ...rest };
  }
}
