import bitIterator from "unbzip2-stream/lib/bit_iterator.js";
import bzip2 from "unbzip2-stream/lib/bzip2.js";
import { DewyError, systemCode } from "../../errors.ts";
import type { ArchiveFile } from "./archive-file.ts";
import { corrupt } from "./refusal.ts";

const blockUnit = 100_000;
const pieceBytes = 256 * 1024;

/**
 * A bzip2 file, all its streams; block and stream CRCs are checked. Uses the decoder inside unbzip2-stream
 * without its stream, which collects each block in an array of numbers: half the time, half the memory.
 */
export function* bunzip2(archive: ArchiveFile): Generator<Uint8Array> {
  const input = archive.chunks();
  const bits = decoding(() =>
    bitIterator(() => {
      const next = input.next();
      if (next.done) throw corrupt("the archive's bzip2 data ends too early");
      return next.value;
    }),
  );
  const output = new Pieces();
  const put = (byte: number) => output.put(byte);
  do {
    const work = new Int32Array(blockUnit * decoding(() => bzip2.header(bits)));
    let crc: number | null = 0;
    while (crc !== null) {
      const before: number = crc;
      crc = decoding(() => bzip2.decompress(bits, put, work, work.length, before));
      yield* output.take();
    }
  } while (bits.bytesRead < archive.sizeBytes);
}

/** One block's bytes: 900 kB, or up to 46 MB when made of runs. Buffers are used again. */
class Pieces {
  readonly #pieces: Uint8Array[] = [new Uint8Array(pieceBytes)];
  #piece = this.#pieces[0] ?? new Uint8Array(pieceBytes);
  #used = 0;
  #filled = 0;

  put(byte: number): void {
    if (this.#filled === pieceBytes) this.#next();
    this.#piece[this.#filled++] = byte;
  }

  *take(): Generator<Uint8Array> {
    for (const piece of this.#pieces.slice(0, this.#used)) yield piece;
    yield this.#piece.subarray(0, this.#filled);
    this.#used = 0;
    this.#piece = this.#pieces[0] ?? this.#piece;
    this.#filled = 0;
  }

  #next(): void {
    this.#used += 1;
    this.#filled = 0;
    this.#piece = this.#pieces[this.#used] ?? new Uint8Array(pieceBytes);
    this.#pieces[this.#used] = this.#piece;
  }
}

function decoding<T>(step: () => T): T {
  try {
    return step();
  } catch (error) {
    // The decoder's own messages ("I'm a monkey…") help nobody; a failing disk's do.
    if (error instanceof DewyError || systemCode(error) !== undefined) throw error;
    throw corrupt("the archive is not whole bzip2 data", error);
  }
}
