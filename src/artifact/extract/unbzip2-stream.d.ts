/** The synchronous inside of unbzip2-stream 1.4.3 (lib/), which has no types of its own. */
declare module "unbzip2-stream/lib/bit_iterator.js" {
  /** `nextBuffer` is called whenever the last buffer is used up. */
  function bitIterator(nextBuffer: () => Uint8Array): bitIterator.Bits;
  namespace bitIterator {
    interface Bits {
      /** Reads `count` bits; null skips to the next whole byte. */
      (count: number | null): number;
      /** Bytes taken so far, the one in use included. */
      bytesRead: number;
    }
  }
  export = bitIterator;
}

declare module "unbzip2-stream/lib/bzip2.js" {
  import type { Bits } from "unbzip2-stream/lib/bit_iterator.js";

  const bzip2: {
    /** Reads a stream's header: its block size in units of 100,000 bytes. */
    header(bits: Bits): number;
    /**
     * Decompresses one block to `put`, byte by byte, and checks its CRC. Returns the CRC of the stream so far,
     * or null after the stream's end, whose CRC it has checked. Throws on anything else.
     */
    decompress(
      bits: Bits,
      put: (byte: number) => void,
      work: Int32Array,
      workLength: number,
      streamCrc: number,
    ): number | null;
  };
  export = bzip2;
}
