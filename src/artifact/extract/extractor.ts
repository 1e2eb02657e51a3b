import type { Call } from "../../util/async.ts";
import type { ArchiveFile } from "./archive-file.ts";
import type { Budget } from "./limits.ts";
import type { ReleaseWriter } from "./writer.ts";

/** What an extraction of any format works with. */
export interface Extraction {
  readonly archive: ArchiveFile;
  readonly writer: ReleaseWriter;
  readonly budget: Budget;
}

/**
 * Reads one archive format and hands its entries to the writer, which decides what is refused. Stops with the
 * signal's reason within a chunk. Throws `archive-corrupt` for bytes that are not the format.
 */
export type Extractor = (extraction: Extraction, c: Call) => Promise<void>;

/** Decompresses an archive; a chunk is good until the next one is asked for. */
export type Decompress = (archive: ArchiveFile) => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
