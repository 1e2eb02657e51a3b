import { crc32, createInflateRaw } from "node:zlib";
import { inflateSync } from "fflate";
import type { ArchiveFile } from "./archive-file.ts";
import { feed } from "./feed.ts";
import { corrupt, quote } from "./refusal.ts";
import type { ZipEntry } from "./zip-entry.ts";

const smallBytes = 64 * 1024;

/**
 * The content of an entry whose data starts at `start`, checked as it passes: never more bytes than declared,
 * and in the end as many, with the declared CRC-32. A chunk is good until the next one.
 */
export async function* entryData(
  archive: ArchiveFile,
  entry: ZipEntry,
  start: number,
): AsyncGenerator<Uint8Array> {
  const { sizeBytes } = entry.record;
  let total = 0;
  let crc = 0;
  for await (const chunk of unpacked(archive, entry, start)) {
    total += chunk.length;
    if (total > sizeBytes) throw damaged(entry.name, "is longer than the zip says");
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (total !== sizeBytes) throw damaged(entry.name, "is shorter than the zip says");
  if (crc !== entry.record.crc32) throw damaged(entry.name, "has a wrong CRC");
}

function unpacked(
  archive: ArchiveFile,
  entry: ZipEntry,
  start: number,
): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  const { sizeBytes, packedBytes } = entry.record;
  const end = start + packedBytes;
  if (entry.stored) return archive.chunks(start, end);
  if (sizeBytes <= smallBytes && packedBytes <= smallBytes) return [inflateSmall(archive, entry, start)];
  return inflate(archive.chunks(start, end), entry);
}

/** A stream for each of thousands of small files would cost more than the inflating. */
function inflateSmall(archive: ArchiveFile, { name, record }: ZipEntry, start: number): Uint8Array {
  const packed = archive.view(start, record.packedBytes);
  // fflate drops what does not fit: the one byte more tells that there was something.
  const out = new Uint8Array(record.sizeBytes + 1);
  try {
    return inflateSync(packed, { out });
  } catch (error) {
    throw damaged(name, "is not whole deflate data", error);
  }
}

async function* inflate(packed: Iterable<Buffer>, { name, record }: ZipEntry): AsyncGenerator<Uint8Array> {
  const inflater = createInflateRaw({ chunkSize: 256 * 1024 });
  const failure = feed(packed, inflater);
  try {
    yield* inflater;
  } catch (error) {
    throw (await failure) ?? damaged(name, "is not whole deflate data", error);
  } finally {
    inflater.destroy();
  }
  if (inflater.bytesWritten !== record.packedBytes) throw damaged(name, "has other data after its own");
}

function damaged(name: string, what: string, cause?: unknown): Error {
  return corrupt(`archive entry ${quote(name)} ${what}`, cause);
}
