import type { ArchiveFile } from "./archive-file.ts";
import { type Budget, tooMany } from "./limits.ts";
import { corrupt, refused } from "./refusal.ts";
import { type Sizes, zip64Sizes } from "./zip-extra.ts";

const endSignature = 0x06054b50;
const endBytes = 22;
const locatorSignature = 0x07064b50;
const locatorBytes = 20;
const end64Signature = 0x06064b50;
const end64Bytes = 56;
const entrySignature = 0x02014b50;
const entryBytes = 46;
const maxCommentBytes = 0xffff;

/** A record of the central directory; sizes and the offset with zip64 already applied. */
export interface ZipRecord extends Sizes {
  /** The name's bytes, as the local header must repeat them. */
  readonly rawName: Buffer;
  /** 3 is Unix, 19 macOS. */
  readonly madeBy: number;
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  readonly attributes: number;
}

interface End {
  readonly entries: number;
  readonly start: number;
  readonly end: number;
  /** Bytes before the archive (a self-extractor); recorded offsets don't count them. */
  readonly prefixBytes: number;
}

/**
 * The central directory (APPNOTE.TXT 6.3.10, 4.3.12 to 4.3.16), which must hold exactly what its end record
 * says. Returns records with `headerAt` counted from the file's start, and where the directory starts.
 */
export function readDirectory(
  archive: ArchiveFile,
  budget: Budget,
): { records: ZipRecord[]; directoryAt: number } {
  const { entries, start, end, prefixBytes } = findEnd(archive);
  if (entries > budget.maxEntries) throw tooMany(budget.maxEntries, "central directory");
  const records: ZipRecord[] = [];
  let at = start;
  while (records.length < entries) {
    const [record, next] = readRecord(archive, at, end);
    records.push({ ...record, headerAt: record.headerAt + prefixBytes });
    at = next;
  }
  if (at !== end) throw corrupt("the zip's central directory holds more than its end record says");
  return { records, directoryAt: start };
}

function findEnd(archive: ArchiveFile): End {
  const tailBytes = Math.min(archive.sizeBytes, endBytes + maxCommentBytes);
  const tailAt = archive.sizeBytes - tailBytes;
  const tail = Buffer.from(archive.view(tailAt, tailBytes));
  for (let at = tailBytes - endBytes; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) !== endSignature) continue;
    if (at + endBytes + tail.readUInt16LE(at + 20) > tailBytes) continue;
    return readEnd(archive, tail.subarray(at, at + endBytes), tailAt + at);
  }
  throw corrupt("the archive is not a whole zip: it has no central directory");
}

function readEnd(archive: ArchiveFile, record: Buffer, endAt: number): End {
  const fields = {
    disks: [record.readUInt16LE(4), record.readUInt16LE(6)],
    entries: [record.readUInt16LE(8), record.readUInt16LE(10)],
    size: record.readUInt32LE(12),
    offset: record.readUInt32LE(16),
  };
  const wide = fields.size === 0xffffffff || fields.offset === 0xffffffff || fields.entries[1] === 0xffff;
  const located = wide ? locate64(archive, endAt) : undefined;
  return located === undefined ? checkedEnd(fields, endAt) : readEnd64(archive, located);
}

/** Where the zip64 end record is; undefined without a locator: then the fields mean what they say. */
function locate64(archive: ArchiveFile, endAt: number): number | undefined {
  if (endAt < locatorBytes) return undefined;
  const locator = archive.view(endAt - locatorBytes, locatorBytes);
  if (locator.readUInt32LE(0) !== locatorSignature) return undefined;
  return uint64(locator, 8);
}

function readEnd64(archive: ArchiveFile, at: number): End {
  const record = archive.view(at, end64Bytes);
  if (record.readUInt32LE(0) !== end64Signature) throw corrupt("the zip's zip64 end record is not there");
  return checkedEnd(
    {
      disks: [record.readUInt32LE(16), record.readUInt32LE(20)],
      entries: [uint64(record, 24), uint64(record, 32)],
      size: uint64(record, 40),
      offset: uint64(record, 48),
    },
    at,
  );
}

function checkedEnd(
  fields: { disks: number[]; entries: number[]; size: number; offset: number },
  end: number,
): End {
  const [entriesHere, entries = 0] = fields.entries;
  if (fields.disks.some((disk) => disk !== 0) || entriesHere !== entries) {
    throw refused("central directory", "is one of several disks", "pack one zip: zip without -s");
  }
  const start = end - fields.size;
  const prefixBytes = start - fields.offset;
  if (start < 0 || prefixBytes < 0) throw corrupt("the zip's central directory is not where it should be");
  return { entries, start, end, prefixBytes };
}

function readRecord(archive: ArchiveFile, at: number, end: number): [record: ZipRecord, next: number] {
  if (at + entryBytes > end) throw corrupt("the zip's central directory ends too early");
  const head = archive.view(at, entryBytes);
  if (head.readUInt32LE(0) !== entrySignature) throw corrupt("the zip's central directory is damaged");
  const nameBytes = head.readUInt16LE(28);
  const extraBytes = head.readUInt16LE(30);
  const next = at + entryBytes + nameBytes + extraBytes + head.readUInt16LE(32);
  const record = Buffer.from(archive.view(at, entryBytes + nameBytes + extraBytes));
  const rawName = record.subarray(entryBytes, entryBytes + nameBytes);
  if (record.readUInt16LE(34) !== 0) {
    throw refused(rawName.toString(), "starts on another disk", "pack one zip: zip without -s");
  }
  const sizes = zip64Sizes(record.subarray(entryBytes + nameBytes), {
    sizeBytes: record.readUInt32LE(24),
    packedBytes: record.readUInt32LE(20),
    headerAt: record.readUInt32LE(42),
  });
  return [
    {
      ...sizes,
      rawName,
      madeBy: record.readUInt8(5),
      flags: record.readUInt16LE(8),
      method: record.readUInt16LE(10),
      crc32: record.readUInt32LE(16),
      attributes: record.readUInt32LE(38),
    },
    next,
  ];
}

function uint64(buffer: Buffer, at: number): number {
  const value = Number(buffer.readBigUInt64LE(at));
  if (!Number.isSafeInteger(value)) throw corrupt("the zip has a number that is out of bounds");
  return value;
}
