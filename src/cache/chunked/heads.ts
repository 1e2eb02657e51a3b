import type { Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { CacheEntry, Version } from "../cache.ts";
import { logDamaged } from "../damage.ts";
import type { KeyValue } from "../key-value.ts";
import { decodeHead, encodeHead, type Head } from "./head.ts";
import { type ChunkSet, chunkNames, headName, headPrefix } from "./names.ts";

/** A head that is there, and the version of its value. */
export interface Stored {
  readonly head: Head;
  readonly version: Version;
}

/** Under contention somebody else gets on each time; this often is no contention any more. */
const maxSwaps = 20;
const listedAtOnce = 8;
/** For clearing away what failed or was replaced; what stays behind is swept later. */
const clearMs = 3000;

/** The heads of a cache, and what goes with them. */
export class Heads {
  constructor(
    private readonly kv: KeyValue,
    private readonly log: Log,
  ) {}

  /** null: none, or a damaged one, which is dropped. */
  async read(key: string, c: Call): Promise<Stored | null> {
    return this.#readName(headName(key), key, c);
  }

  async #readName(name: string, key: string, c: Call): Promise<Stored | null> {
    for (let tries = 0; tries < maxSwaps; tries++) {
      const value = await this.kv.get(name, "head", c);
      if (value === null) return null;
      const head = decodeHead(name, value.body);
      if (head !== null) return { head, version: value.version };
      if (await this.#dropVersion(name, key, value.version, "its head cannot be read", c)) return null;
    }
    return null;
  }

  /** Removes that very version, which is damaged; false: it is gone, or another one is there by now. */
  async drop({ head, version }: Stored, reason: string, c: Call): Promise<boolean> {
    const dropped = await this.#dropVersion(headName(head.key), head.key, version, reason, c);
    if (dropped) await this.clearChunks(chunksOf(head));
    return dropped;
  }

  async #dropVersion(name: string, key: string, version: Version, reason: string, c: Call): Promise<boolean> {
    const dropped = await this.kv.deleteVersion(name, version, c);
    // Of all hosts that met it only the one that removed it says so.
    if (dropped) logDamaged(this.log, key, reason);
    return dropped;
  }

  /** Writes where `expected` is what is there; null: lost. */
  async swap(head: Head, expected: Version | null, c: Call): Promise<Version | null> {
    return this.kv.set(headName(head.key), encodeHead(head), { kind: "head", expected }, c);
  }

  /** Writes whatever is there, and clears away the chunks of what it replaces. */
  async replace(head: Head, c: Call): Promise<void> {
    const name = headName(head.key);
    for (let tries = 0; tries < maxSwaps; tries++) {
      const value = await this.kv.get(name, "head", c);
      if ((await this.swap(head, value?.version ?? null, c)) === null) continue;
      return this.clearChunks(value === null ? null : chunksOf(decodeHead(name, value.body)));
    }
    await this.kv.set(name, encodeHead(head), { kind: "head" }, c);
  }

  async delete(key: string, c: Call): Promise<void> {
    const name = headName(key);
    for (let tries = 0; tries < maxSwaps; tries++) {
      const value = await this.kv.get(name, "head", c);
      if (value === null) return;
      if (!(await this.kv.deleteVersion(name, value.version, c))) continue;
      return this.clearChunks(chunksOf(decodeHead(name, value.body)));
    }
    await this.kv.delete([name], c);
  }

  /** All whose key begins with `prefix`, in the order of their keys. */
  async list(prefix: string, c: Call): Promise<Head[]> {
    const names = await Array.fromAsync(this.kv.list(headPrefix(prefix), c));
    const heads: Head[] = [];
    for (let at = 0; at < names.length; at += listedAtOnce) {
      const some = names.slice(at, at + listedAtOnce);
      const read = await Promise.all(some.map((name) => this.#readName(name, name, c)));
      for (const stored of read)
        if (stored?.head.key.startsWith(prefix)) heads.push(withoutBody(stored.head));
    }
    return heads.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** Failing at that fails nothing: nobody refers to them. */
  async clearChunks(chunks: Pick<ChunkSet, "id" | "count"> | null): Promise<void> {
    if (chunks === null) return;
    try {
      await this.kv.delete(chunkNames(chunks), { signal: AbortSignal.timeout(clearMs) });
    } catch (error) {
      this.log.debug("Cache chunks left behind", {
        id: chunks.id,
        error: error instanceof Error ? error : null,
      });
    }
  }
}

export function chunksOf(head: Head | null): ChunkSet | null {
  return head?.content.kind === "chunked" ? head.content.chunks : null;
}

export function entryOf({ key, sizeBytes, writtenAt }: Head): CacheEntry {
  return { key, sizeBytes, updatedAt: writtenAt };
}

/** A long list of values is not kept in memory. */
function withoutBody(head: Head): Head {
  return head.content.kind === "chunked"
    ? head
    : { ...head, content: { kind: "inline", body: new Uint8Array() } };
}
