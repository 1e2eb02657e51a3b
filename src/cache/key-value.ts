import type { Call } from "../util/async.ts";
import type { Version } from "./cache.ts";

/** Heads are small and alone decide what is there; chunks are large, and of no use without the head that names them. */
export type ValueKind = "head" | "chunk";

export interface SetOptions {
  /** Chunks may take longer, and outlive heads where entries expire. */
  readonly kind: ValueKind;
  /** Undefined: whatever is there; null: only if there is none. */
  readonly expected?: Version | null | undefined;
}

/**
 * What a key-value service must be able to do to carry a cache: small values, one atomic swap. `chunked.ts` makes a
 * whole Cache of it. Keys are made of `A-Z a-z 0-9 . _ ~ / -`, at most `maxNameBytes` of names.ts long.
 */
export interface KeyValue extends AsyncDisposable {
  /** The largest value the service takes. */
  readonly maxValueBytes: number;
  /** Milliseconds after which an entry goes by itself; null: never. */
  readonly ttlMs: number | null;
  get(key: string, kind: ValueKind, c: Call): Promise<{ body: Uint8Array; version: Version } | null>;
  /** `body` may be reused as soon as this settles. null: lost. */
  set(key: string, body: Uint8Array, options: SetOptions, c: Call): Promise<Version | null>;
  /** Whatever they hold; those that are not there too. */
  delete(keys: readonly string[], c: Call): Promise<void>;
  /** Only while it is that version; false: it is another one, or gone. */
  deleteVersion(key: string, version: Version, c: Call): Promise<boolean>;
  /** In any order, each once. */
  list(prefix: string, c: Call): AsyncIterable<string>;
}
