/**
 * Signs an executable for macOS ad hoc, in place, as a linker does: Bun leaves on its builds for Intel the signature of
 * Bun itself, which does not fit what was built, and macOS may kill what is signed wrongly.
 * Formats: <mach-o/loader.h>, and cs_blobs.h of XNU (whose numbers are big-endian).
 */
import { readFileSync, writeFileSync } from "node:fs";

const pageBytes = 4096;
const hashBytes = 32;
const identifier = "dewy\0";

interface Places {
  /** Of the load commands. */
  readonly signature: number;
  readonly linkEdit: number;
  readonly textBytes: bigint;
}

function findPlaces(view: DataView): Places {
  if (view.getUint32(0, true) !== 0xfeedfacf) throw new Error("no 64-bit Mach-O file");
  const found = { signature: 0, linkEdit: 0, textBytes: 0n };
  let at = 32;
  for (let command = 0; command < view.getUint32(16, true); command++) {
    const kind = view.getUint32(at, true);
    if (kind === 0x1d) found.signature = at;
    if (kind === 0x19) {
      const name = Buffer.from(view.buffer, view.byteOffset + at + 8, 16)
        .toString()
        .replace(/\0.*/s, "");
      if (name === "__LINKEDIT") found.linkEdit = at;
      if (name === "__TEXT") found.textBytes = view.getBigUint64(at + 48, true);
    }
    at += view.getUint32(at + 4, true);
  }
  if (found.signature === 0 || found.linkEdit === 0) throw new Error("no room for a signature");
  return found;
}

/** A superblob that holds a code directory (version 0x20400) and nothing else. */
function signatureOf(code: Uint8Array, textBytes: bigint): Buffer {
  const pages = Math.ceil(code.length / pageBytes);
  const hashesAt = 88 + identifier.length;
  const directory = Buffer.alloc(hashesAt + pages * hashBytes);
  const adHocByLinker = 0x20002;
  const fields = [0xfade0c02, directory.length, 0x20400, adHocByLinker, hashesAt, 88, 0, pages, code.length];
  writeNumbers(directory, fields);
  directory.set([hashBytes, 2, 0, Math.log2(pageBytes)], 36); // SHA-256
  directory.writeBigUInt64BE(textBytes, 72);
  directory.writeBigUInt64BE(1n, 80); // the main executable
  directory.write(identifier, 88);
  for (let page = 0; page < pages; page++) {
    const bytes = code.subarray(page * pageBytes, (page + 1) * pageBytes);
    directory.set(Bun.SHA256.hash(bytes) as Uint8Array, hashesAt + page * hashBytes);
  }
  const head = Buffer.alloc(20);
  writeNumbers(head, [0xfade0cc0, head.length + directory.length, 1, 0, head.length]);
  return Buffer.concat([head, directory], Math.ceil((head.length + directory.length) / 16) * 16);
}

function writeNumbers(buffer: Buffer, values: readonly number[]): void {
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value, index * 4);
}

function sign(path: string): void {
  const file = readFileSync(path);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const { signature, linkEdit, textBytes } = findPlaces(view);
  const codeBytes = view.getUint32(signature + 8, true);
  const { length } = signatureOf(file.subarray(0, codeBytes), textBytes);
  // The first page is signed, too: what it says of the signature has to be right before.
  view.setUint32(signature + 12, length, true);
  const linkEditBytes = BigInt(codeBytes + length) - view.getBigUint64(linkEdit + 40, true);
  view.setBigUint64(linkEdit + 48, linkEditBytes, true);
  view.setBigUint64(linkEdit + 32, ((linkEditBytes + 0x3fffn) / 0x4000n) * 0x4000n, true);
  const code = file.subarray(0, codeBytes);
  writeFileSync(path, Buffer.concat([code, signatureOf(code, textBytes)]));
}

const [path = ""] = process.argv.slice(2);
sign(path);
