import type { Gunzip, InflateRaw } from "node:zlib";

/**
 * Writes all chunks to a decompressor, each when the one before is used up. Never rejects: resolves to why a
 * chunk could not be read, and destroys the decompressor then.
 */
export async function feed(chunks: Iterable<Buffer>, inflater: Gunzip | InflateRaw): Promise<unknown> {
  try {
    for (const chunk of chunks) {
      await written(chunk, inflater);
      // Before the next read: the archive may be closed by now.
      if (inflater.destroyed) return undefined;
    }
    inflater.end();
    return undefined;
  } catch (error) {
    inflater.destroy(error instanceof Error ? error : new Error(String(error)));
    return error;
  }
}

function written(chunk: Buffer, inflater: Gunzip | InflateRaw): Promise<void> {
  return new Promise((resolve) => {
    // A destroyed stream may forget the callbacks of its writes.
    inflater.once("close", resolve);
    inflater.write(chunk, () => {
      inflater.off("close", resolve);
      resolve();
    });
  });
}
