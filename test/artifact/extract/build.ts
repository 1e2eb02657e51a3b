import { crc32, deflateRawSync } from "node:zlib";

/** Raw tar and zip writers for tests: they write what they are told, however wrong. */
export interface RawTarEntry {
  readonly name?: string;
  /** The type flag; "0" is a file. */
  readonly type?: string;
  readonly body?: string | Uint8Array;
  readonly mode?: number;
  readonly linkname?: string;
  readonly prefix?: string;
  /** The size field's text, when it is not to be the body's. */
  readonly size?: string;
  /** Added to the right checksum. */
  readonly checksumOff?: number;
  /** "ustar\0" + "00", or GNU's "ustar  \0", or nothing (v7). */
  readonly magic?: string;
}

export const endOfTar = Buffer.alloc(1024);

/** One header and its padded content. */
export function tarEntry(entry: RawTarEntry): Buffer {
  const body = Buffer.from(entry.body ?? "");
  const header = Buffer.alloc(512);
  header.write(entry.name ?? "app", 0, 100);
  header.write(octal(entry.mode ?? 0o644, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(entry.size ?? octal(body.length, 12), 124, "latin1");
  header.write(octal(1_700_000_000, 12), 136);
  header.write(entry.type ?? "0", 156, 1, "latin1");
  header.write(entry.linkname ?? "", 157, 100);
  header.write(entry.magic ?? "ustar\0" + "00", 257, 8);
  header.write(entry.prefix ?? "", 345, 155);
  writeChecksum(header, entry.checksumOff ?? 0);
  return Buffer.concat([header, padded(body)]);
}

/** Makes a header's checksum right again (or wrong by `off`). */
export function writeChecksum(header: Buffer, off = 0): void {
  header.fill(" ", 148, 156);
  let sum = off;
  for (const byte of header.subarray(0, 512)) sum += byte;
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
}

/** An extended header with these records; `type` "g" makes it global. */
export function pax(records: Record<string, string>, type = "x"): Buffer {
  const lines = Object.entries(records).map(([key, value]) => paxRecord(key, value));
  return tarEntry({ name: "PaxHeaders/app", type, body: lines.join("") });
}

export function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length += 1;
  return `${length} ${key}=${value}\n`;
}

/** GNU's long name ("L") or long link target ("K") for the next entry. */
export function gnuLong(type: "L" | "K", text: string): Buffer {
  return tarEntry({ name: "././@LongLink", type, body: `${text}\0`, magic: "ustar  \0" });
}

/** A whole tar of raw entries and ready-made blocks. */
export function tar(...parts: (RawTarEntry | Buffer)[]): Buffer {
  return Buffer.concat([...parts.map((part) => (Buffer.isBuffer(part) ? part : tarEntry(part))), endOfTar]);
}

export interface RawZipEntry {
  readonly name?: string | Buffer;
  readonly body?: string | Uint8Array;
  /** With type bits, as in the upper half of the external attributes; host becomes Unix. */
  readonly unixMode?: number;
  readonly method?: number;
  readonly flags?: number;
  /** The packed bytes, when they are not to be the deflated body. */
  readonly packed?: Uint8Array;
  readonly crc?: number;
  readonly size?: number;
  readonly packedSize?: number;
  readonly attributes?: number;
  readonly disk?: number;
  readonly centralExtra?: Buffer;
  /** What the local header says instead. */
  readonly local?: {
    name?: string;
    method?: number;
    flags?: number;
    size?: number;
    packedSize?: number;
    crc?: number;
    signature?: number;
  };
  /** The local header's position, when it is not to be the real one. */
  readonly headerAt?: number;
  /** Writes no local header and no data. */
  readonly absent?: boolean;
}

export interface ZipEnd {
  readonly entries?: number;
  readonly size?: number;
  readonly offset?: number;
  readonly disk?: number;
  readonly comment?: string;
  readonly signature?: number;
}

/** A whole zip; `end` overrides fields of the end record. */
export function zip(entries: readonly RawZipEntry[], end: ZipEnd = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const packed = packedBody(entry);
    directory.push(centralHeader(entry, packed, entry.headerAt ?? at));
    if (entry.absent) continue;
    const local = Buffer.concat([localHeader(entry, packed), packed]);
    parts.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  return Buffer.concat([...parts, central, endRecord(entries.length, central.length, at, end)]);
}

/** A zip that ends in zip64 records, as if it were too large for the others. */
export function zip64(
  entries: readonly RawZipEntry[],
  wrong: { readonly recordAt?: bigint; readonly entries?: bigint } = {},
): Buffer {
  const narrow = zip(entries);
  const body = narrow.subarray(0, -22);
  const count = wrong.entries ?? BigInt(entries.length);
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(count, 24);
  record.writeBigUInt64LE(count, 32);
  record.writeBigUInt64LE(BigInt(narrow.readUInt32LE(narrow.length - 10)), 40);
  record.writeBigUInt64LE(BigInt(narrow.readUInt32LE(narrow.length - 6)), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(wrong.recordAt ?? BigInt(body.length), 8);
  const end = endRecord(0, 0, 0, { entries: 0xffff, size: 0xffffffff, offset: 0xffffffff });
  return Buffer.concat([body, record, locator, end]);
}

function packedBody(entry: RawZipEntry): Buffer {
  if (entry.packed !== undefined) return Buffer.from(entry.packed);
  const body = Buffer.from(entry.body ?? "");
  return (entry.method ?? 8) === 8 ? deflateRawSync(body) : body;
}

function localHeader(entry: RawZipEntry, packed: Buffer): Buffer {
  const fields = { ...sharedFields(entry, packed), ...entry.local };
  const name = Buffer.from(fields.name);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(entry.local?.signature ?? 0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(fields.flags, 6);
  header.writeUInt16LE(fields.method, 8);
  header.writeUInt32LE(fields.crc, 14);
  header.writeUInt32LE(fields.packedSize, 18);
  header.writeUInt32LE(fields.size, 22);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, name]);
}

function centralHeader(entry: RawZipEntry, packed: Buffer, headerAt: number): Buffer {
  const fields = sharedFields(entry, packed);
  const name = Buffer.from(fields.name);
  const extra = entry.centralExtra ?? Buffer.alloc(0);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(entry.unixMode === undefined ? 20 : (3 << 8) | 20, 4);
  header.writeUInt16LE(fields.flags, 8);
  header.writeUInt16LE(fields.method, 10);
  header.writeUInt32LE(fields.crc, 16);
  header.writeUInt32LE(fields.packedSize, 20);
  header.writeUInt32LE(fields.size, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt16LE(entry.disk ?? 0, 34);
  header.writeUInt32LE(entry.attributes ?? ((entry.unixMode ?? 0) << 16) >>> 0, 38);
  header.writeUInt32LE(headerAt, 42);
  return Buffer.concat([header, name, extra]);
}

function sharedFields(entry: RawZipEntry, packed: Buffer) {
  const body = Buffer.from(entry.body ?? "");
  return {
    name: entry.name ?? "app",
    method: entry.method ?? 8,
    flags: entry.flags ?? 0x0800,
    crc: entry.crc ?? crc32(body),
    size: entry.size ?? body.length,
    packedSize: entry.packedSize ?? packed.length,
  };
}

function endRecord(entries: number, size: number, offset: number, end: ZipEnd): Buffer {
  const comment = Buffer.from(end.comment ?? "");
  const record = Buffer.alloc(22);
  record.writeUInt32LE(end.signature ?? 0x06054b50, 0);
  record.writeUInt16LE(end.disk ?? 0, 4);
  record.writeUInt16LE(end.disk ?? 0, 6);
  record.writeUInt16LE(end.entries ?? entries, 8);
  record.writeUInt16LE(end.entries ?? entries, 10);
  record.writeUInt32LE(end.size ?? size, 12);
  record.writeUInt32LE(end.offset ?? offset, 16);
  record.writeUInt16LE(comment.length, 20);
  return Buffer.concat([record, comment]);
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, "0")}\0`;
}

function padded(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}
