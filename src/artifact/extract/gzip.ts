import { createGunzip } from "node:zlib";
import type { ArchiveFile } from "./archive-file.ts";
import { feed } from "./feed.ts";
import { corrupt } from "./refusal.ts";

/**
 * A gzip file (RFC 1952), all its members; CRC and length of each are checked by zlib. What follows the last
 * member must be zeros, as tapes and object stores pad with.
 */
export async function* gunzip(archive: ArchiveFile): AsyncGenerator<Uint8Array> {
  const inflater = createGunzip({ chunkSize: 256 * 1024 });
  const failure = feed(archive.chunks(), inflater);
  try {
    yield* inflater;
  } catch (error) {
    throw (await failure) ?? corrupt("the archive is not whole gzip data", error);
  } finally {
    inflater.destroy();
  }
  // zlib stops at the first zero after a member, whatever comes later.
  for (const chunk of archive.chunks(inflater.bytesWritten)) {
    if (chunk.some((byte) => byte !== 0)) throw corrupt("the archive has other data after its gzip data");
  }
}
