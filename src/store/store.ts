import type { Governor } from "../http/governor.ts";
import type { Log } from "../log.ts";
import type { Digest } from "../release/release.ts";
import type { ResumePoint } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";

/** Of one object's content: changes with every write. Opaque: compare, never interpret. */
export type Version = string;

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly version: Version;
  readonly updatedAt: Date;
}

/** What `list` yields: an object, or, with a delimiter, all keys that begin with `key` as one. */
export type ObjectEntry =
  | ({ readonly kind: "object" } & ObjectInfo)
  | { readonly kind: "prefix"; readonly key: string };

export interface StoredInfo extends ObjectInfo {
  /** What the writer said, or the service knows, of the whole content; null where nobody did. */
  readonly digest: Digest | null;
}

export interface StoredObject extends StoredInfo {
  /** Where `chunks` begins: 0 when the object is another one than the resume point's. */
  readonly offset: number;
  /** Iterate them to the end or call the iterator's `return()`. A cut is a retryable DewyError. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A file on this host whose content is known. */
export interface LocalFile {
  readonly path: string;
  readonly digest: Digest;
}

/**
 * Objects by key, below one root: a directory, or a prefix of a bucket. Keys are relative, with `/` between their
 * parts and no part empty, `.` or `..`. A key that is not there is null or nothing; a root that is not there, wrong
 * credentials and the like are DewyErrors with a hint. Every implementation passes test/store/contract.ts.
 */
export interface ObjectStore extends AsyncDisposable {
  /** `s3://region/bucket/prefix`, `file:///dir`: without query, without `/` at its end. */
  readonly url: string;
  head(key: string, c: Call): Promise<StoredInfo | null>;
  /** From `from` on where the content is still the one it names, else from the beginning. */
  get(key: string, from: ResumePoint | null, c: Call): Promise<StoredObject | null>;
  /** With `ifVersion` (null: only if there is none) exactly one of many at once wins; the losers get null. */
  put(
    key: string,
    body: Uint8Array,
    condition: { readonly ifVersion?: Version | null },
    c: Call,
  ): Promise<Version | null>;
  /** Streams a file of any size; readers see the old object, then the whole new one. */
  putFile(key: string, file: LocalFile, c: Call): Promise<void>;
  /**
   * Streams (or links) an object to `toPath`, which must not exist, and answers the digest of what came; goes on
   * after a cut. null: there is none. `digest-mismatch` when it is not what its writer said; then nothing is left.
   */
  fetchFile(key: string, toPath: string, c: Call): Promise<Digest | null>;
  /** In the order of the keys' bytes, page by page. */
  list(prefix: string, options: { readonly delimiter?: string }, c: Call): AsyncIterable<ObjectEntry>;
  /** Of a key that is not there too. */
  delete(key: string, c: Call): Promise<void>;
}

export interface StoreDeps {
  readonly governor: Governor;
  readonly clock: Clock;
  readonly log: Log;
  /** A copy of the process's environment: credentials, endpoints, proxies. */
  readonly env: Readonly<Record<string, string | undefined>>;
}
