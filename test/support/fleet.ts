import { readFileSync, writeFileSync } from "node:fs";
import type { Cache } from "../../src/cache/cache.ts";
import { DewyError } from "../../src/errors.ts";
import type { Latest, Registry } from "../../src/registry/registry.ts";
import type { SharedMemory } from "../../src/registry/shared/memory.ts";
import type { Release } from "../../src/release/release.ts";
import type { Call } from "../../src/util/async.ts";
import { abortable } from "../../src/util/async.ts";
import type { Clock } from "../../src/util/time.ts";

type Step = "get" | "compareAndSwap" | "fetchFile" | "putFile" | "list" | "delete";

/** What the network does to one call: `lost` is an answer that got lost after the cache had done as it was told. */
type Trouble = "fails" | "hangs" | "lost";

/** A cache in this process that hosts share, with scripted troubles. */
export class FleetCache implements Cache {
  readonly maxValueBytes: number = 512 * 1024;
  /** Calls by step. */
  readonly calls: Record<Step, number> = {
    get: 0,
    compareAndSwap: 0,
    fetchFile: 0,
    putFile: 0,
    list: 0,
    delete: 0,
  };
  /** Files that don't fit are not kept. */
  maxFileBytes = Number.POSITIVE_INFINITY;
  trouble: Partial<Record<Step, Trouble>> = {};
  readonly #entries = new Map<string, { body: Uint8Array; version: string; file: boolean }>();
  #writes = 0;

  get keys(): string[] {
    return [...this.#entries.keys()].sort();
  }

  textOf(key: string): string | null {
    const entry = this.#entries.get(key);
    return entry === undefined ? null : Buffer.from(entry.body).toString("utf8");
  }

  write(key: string, body: string | Uint8Array): void {
    this.#set(key, Buffer.from(body), false);
  }

  get(key: string, c: Call) {
    return this.#step("get", c, () => {
      const entry = this.#entries.get(key);
      return entry === undefined ? null : { body: entry.body, version: entry.version };
    });
  }

  compareAndSwap(key: string, body: Uint8Array, expected: string | null, c: Call) {
    return this.#step("compareAndSwap", c, () => {
      if ((this.#entries.get(key)?.version ?? null) !== expected) return null;
      return this.#set(key, body.slice(), false);
    });
  }

  putFile(key: string, file: { readonly path: string }, c: Call) {
    return this.#step("putFile", c, () => {
      const body = readFileSync(file.path);
      if (body.length > this.maxFileBytes) return false;
      this.#set(key, body, true);
      return true;
    });
  }

  fetchFile(key: string, path: string, c: Call) {
    return this.#step("fetchFile", c, () => {
      const entry = this.#entries.get(key);
      if (entry === undefined) return null;
      writeFileSync(path, entry.body, { flag: "wx" });
      return `sha256:${Bun.SHA256.hash(entry.body, "hex")}` as const;
    });
  }

  delete(key: string, c: Call) {
    return this.#step("delete", c, () => void this.#entries.delete(key));
  }

  async *list(prefix: string, c: Call) {
    await this.#step("list", c, () => undefined);
    for (const key of this.keys) {
      const sizeBytes = this.#entries.get(key)?.body.length ?? 0;
      if (key.startsWith(prefix)) yield { key, sizeBytes, updatedAt: new Date(0) };
    }
  }

  async [Symbol.asyncDispose]() {}

  #set(key: string, body: Uint8Array, file: boolean): string {
    const version = String(++this.#writes);
    this.#entries.set(key, { body, version, file });
    return version;
  }

  async #step<T>(step: Step, c: Call, work: () => T): Promise<T> {
    c.signal.throwIfAborted();
    this.calls[step] += 1;
    const trouble = this.trouble[step];
    if (trouble === "hangs") await abortable(new Promise<never>(() => undefined), c.signal);
    if (trouble !== "fails") {
      const result = work();
      if (trouble === undefined) return result;
    }
    throw new DewyError("network-unreachable", "the cache is down");
  }
}

/** What a process that was killed has of a cache: nothing it would still do is done. */
export function mortal(memory: SharedMemory, isDead: () => boolean): SharedMemory {
  const alive = <T>(work: () => Promise<T>): Promise<T> =>
    isDead() ? Promise.reject(new DewyError("network-unreachable", "killed")) : work();
  return {
    maxValueBytes: memory.maxValueBytes,
    get: (key, c) => alive(() => memory.get(key, c)),
    compareAndSwap: (key, body, expected, c) => alive(() => memory.compareAndSwap(key, body, expected, c)),
  };
}

/** A registry that counts who asks it. */
export class CountingRegistry implements Registry {
  /** When each call of `latest` came, on the clock. */
  readonly calls: number[] = [];
  readonly found: string[] = [];
  readonly reported: string[] = [];
  release: Release | null = releaseOf("v1.0.0");
  failure: unknown = null;
  minMs = 0;
  /** How long a call takes; on the way it heeds its signal. */
  callMs = 0;
  /** Told of each call when it has come in. */
  onCall: (count: number) => void = () => undefined;

  constructor(private readonly clock: Clock) {}

  async latest(c: Call): Promise<Latest> {
    c.signal.throwIfAborted();
    this.calls.push(this.clock.monotonicMs());
    this.onCall(this.calls.length);
    if (this.callMs > 0) await this.clock.sleep(this.callMs, c.signal);
    c.signal.throwIfAborted();
    if (this.failure !== null) throw this.failure;
    return { release: this.release, otherSlot: null };
  }

  async find(tag: string) {
    this.found.push(tag);
    return releaseOf(tag);
  }

  async report(record: { readonly tag: string }) {
    this.reported.push(record.tag);
  }

  minIntervalMs(): number {
    return this.minMs;
  }

  async [Symbol.asyncDispose]() {}
}

export function releaseOf(tag: string): Release {
  const artifact = {
    name: "app_linux_amd64.zip",
    url: `memory:///${tag}/app_linux_amd64.zip`,
    sizeBytes: 12,
    digest: `sha256:${"a".repeat(64)}`,
    revision: tag,
  } as const;
  return { tag, createdAt: new Date("2026-01-01T00:00:00.000Z"), artifact, files: [artifact] };
}

/** The same sequence in every run: 0 ≤ value < 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
