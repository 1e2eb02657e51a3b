import type { Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";

/** Opaque: compare, never interpret. */
export type Version = string;

export interface CacheEntry {
  readonly key: string;
  readonly sizeBytes: number;
  readonly updatedAt: Date;
}

/**
 * Bytes that hosts may share; nothing about one host. Every implementation passes test/cache/contract.ts. Entries are
 * checked on their way out: a damaged or half-written one is dropped with one WARN, and is a miss.
 */
export interface Cache extends AsyncDisposable {
  /** The largest body compareAndSwap takes. */
  readonly maxValueBytes: number;
  /** The largest file it keeps; Infinity: any. */
  readonly maxFileBytes: number;
  get(key: string, c: Call): Promise<{ body: Uint8Array; version: Version } | null>;
  /** Writes if the stored version is `expected` (null: if there is none). Of many at once exactly one wins; the losers get null. */
  compareAndSwap(key: string, body: Uint8Array, expected: Version | null, c: Call): Promise<Version | null>;
  /**
   * Stores a file, whose digest the caller knows; readers see nothing or the old one, then all of it. false: it is
   * larger than this cache keeps, and nothing is there now.
   */
  putFile(key: string, file: { readonly path: string; readonly digest: Digest }, c: Call): Promise<boolean>;
  /** Copies (or links) a stored file to `path`, which must not exist, and answers its digest; null when there is none. */
  fetchFile(key: string, path: string, c: Call): Promise<Digest | null>;
  delete(key: string, c: Call): Promise<void>;
  /** In the order of the keys. */
  list(prefix: string, c: Call): AsyncIterable<CacheEntry>;
}
