import type { Call } from "../util/async.ts";

/** Opaque: compare, never interpret. */
export type Version = string;

/** Bytes that hosts may share; nothing about one host. Every implementation passes test/cache/contract.ts. */
export interface Cache extends AsyncDisposable {
  /** The largest body compareAndSwap takes. */
  readonly maxValueBytes: number;
  get(key: string, c: Call): Promise<{ body: Uint8Array; version: Version } | null>;
  /** Writes if the stored version is `expected` (null: if there is none). Of many at once exactly one wins; the losers get null. */
  compareAndSwap(key: string, body: Uint8Array, expected: Version | null, c: Call): Promise<Version | null>;
  /** Stores a file's content; readers see nothing, then all of it. */
  putFile(key: string, path: string, c: Call): Promise<void>;
  /** Copies (or links) a stored file to `path`, which must not exist; false when there is none. */
  fetchFile(key: string, path: string, c: Call): Promise<boolean>;
  delete(key: string, c: Call): Promise<void>;
  list(prefix: string, c: Call): AsyncIterable<string>;
}
