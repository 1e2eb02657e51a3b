import type { ArchiveFile } from "./archive-file.ts";
import { corrupt, quote, refused } from "./refusal.ts";
import type { ZipRecord } from "./zip-directory.ts";
import { zip64Sizes } from "./zip-extra.ts";

const localSignature = 0x04034b50;
const localBytes = 30;
// Bits of the general purpose flags: encrypted, strongly encrypted, masked headers; sizes after the data.
const encrypted = 0x0001 | 0x0040 | 0x2000;
const sizesAfterData = 0x0008;
const unixHosts = new Set([3, 19]);
const dosDirectory = 0x10;
const typeMask = 0o170000;

const packHint = "pack it again with: zip -r";

/** What a record of the central directory stands for. */
export interface ZipEntry {
  readonly name: string;
  readonly type: "file" | "directory" | "symlink";
  readonly mode: number;
  readonly stored: boolean;
  readonly record: ZipRecord;
}

/** `archive-refused` for entries that are encrypted, of an unknown compression, special, or of two natures. */
export function toZipEntry(record: ZipRecord): ZipEntry {
  const name = decodeName(record.rawName);
  if ((record.flags & encrypted) !== 0) throw refused(name, "is encrypted", "pack without a password");
  if (record.method !== 0 && record.method !== 8) {
    throw refused(name, `is compressed by method ${record.method}`, "compress with deflate, as zip does");
  }
  if (name.includes("\\") || /^[a-z]:/i.test(name)) {
    throw refused(name, "has a Windows path as its name", 'pack with "/" between directories');
  }
  const { type, mode } = natureOf(name, record);
  if (type === "directory" && record.sizeBytes !== 0) {
    throw refused(name, "is a directory but has content", packHint);
  }
  return { name, type, mode, stored: record.method === 0, record };
}

/** Text that is not UTF-8 gets U+FFFD, which the writer refuses. */
function decodeName(raw: Buffer): string {
  // Buffer's own toString, not TextDecoder: that would drop a byte order mark.
  return raw.toString("utf8");
}

function natureOf(name: string, record: ZipRecord): Pick<ZipEntry, "type" | "mode"> {
  const slash = name.endsWith("/");
  const unixMode = unixHosts.has(record.madeBy) ? record.attributes >>> 16 : 0;
  if (unixMode === 0) {
    const directory = slash || (record.attributes & dosDirectory) !== 0;
    return directory ? { type: "directory", mode: 0o755 } : { type: "file", mode: 0o644 };
  }
  const mode = unixMode & 0o7777;
  switch (unixMode & typeMask) {
    case 0:
      return { type: slash ? "directory" : "file", mode };
    case 0o040000:
      return { type: "directory", mode };
    case 0o100000:
    case 0o120000:
      // Some tools look at the slash, some at the mode.
      if (slash) throw refused(name, "is called a directory, and is none", packHint);
      return { type: (unixMode & typeMask) === 0o120000 ? "symlink" : "file", mode };
    default:
      throw refused(name, "is a device, named pipe or socket", "pack only files, directories and links");
  }
}

/**
 * Reads the local header, which must say what the central directory says: programs that trust one or the other
 * would extract different things. Returns where the entry's data starts.
 */
export function dataStart(archive: ArchiveFile, { name, record }: ZipEntry): number {
  const { headerAt, rawName } = record;
  const nameAt = headerAt + localBytes;
  const head = Buffer.from(archive.view(headerAt, localBytes));
  if (head.readUInt32LE(0) !== localSignature)
    throw corrupt(`the zip's header of ${quote(name)} is not there`);
  const nameBytes = head.readUInt16LE(26);
  const extraBytes = head.readUInt16LE(28);
  const variable = archive.view(nameAt, nameBytes + extraBytes);
  const sameName = variable.subarray(0, nameBytes).equals(rawName);
  const flags = head.readUInt16LE(6);
  const sameKind = head.readUInt16LE(8) === record.method && (flags & encrypted) === 0;
  const sizes = zip64Sizes(variable.subarray(nameBytes), {
    sizeBytes: head.readUInt32LE(22),
    packedBytes: head.readUInt32LE(18),
    headerAt,
  });
  const later = (flags & sizesAfterData) !== 0;
  const agrees = (local: number, central: number) => local === central || (later && local === 0);
  const sameSizes =
    agrees(sizes.sizeBytes, record.sizeBytes) &&
    agrees(sizes.packedBytes, record.packedBytes) &&
    agrees(head.readUInt32LE(14), record.crc32);
  if (!sameName || !sameKind || !sameSizes) {
    throw refused(name, "is described differently in its header and in the zip's directory", packHint);
  }
  return nameAt + nameBytes + extraBytes;
}
