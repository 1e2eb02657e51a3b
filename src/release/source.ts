import type { Call } from "../util/async.ts";
import type { ReleaseFile } from "./release.ts";

/** Where to go on after a cut: `offset` bytes are here, and the content must still be the one `validator` names. */
export interface ResumePoint {
  readonly offset: number;
  /** A strong ETag or an equally strict token from the first answer. */
  readonly validator: string;
}

export interface ArtifactBody {
  /** The bytes from `offset` on; iteration fails with a retryable DewyError when the connection is cut. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** 0 when the source could not resume (no ranges, or the content changed): start over. */
  readonly offset: number;
  /** Of the whole file; null when the source does not say. */
  readonly totalBytes: number | null;
  /** For a later ResumePoint; null when the source can't resume. */
  readonly validator: string | null;
}

/** Opens a published file of the URL schemes it serves. Every kind passes test/registry/contract.ts. */
export interface ArtifactSource {
  open(file: ReleaseFile, resume: ResumePoint | null, c: Call): Promise<ArtifactBody>;
}
