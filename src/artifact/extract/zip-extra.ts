import { corrupt } from "./refusal.ts";

const zip64Id = 0x0001;
const wide = 0xffffffff;

export interface Sizes {
  readonly sizeBytes: number;
  readonly packedBytes: number;
  /** Of the local header, from the archive's start. */
  readonly headerAt: number;
}

/**
 * Puts the 64-bit values of the zip64 extra field (APPNOTE.TXT 6.3.10, 4.5.3) in place of those that are
 * 0xffffffff in the header; they stand there in this order, and only those.
 */
export function zip64Sizes(extra: Buffer, narrow: Sizes): Sizes {
  if (narrow.sizeBytes !== wide && narrow.packedBytes !== wide && narrow.headerAt !== wide) return narrow;
  const field = findField(extra, zip64Id);
  // Without the field, 0xffffffff is just a number.
  if (field === undefined) return narrow;
  let at = 0;
  const widened = (value: number) => {
    if (value !== wide) return value;
    if (at + 8 > field.length) throw corrupt("the zip has a zip64 field that is too short");
    at += 8;
    const big = Number(field.readBigUInt64LE(at - 8));
    if (!Number.isSafeInteger(big)) throw corrupt("the zip has a number that is out of bounds");
    return big;
  };
  const sizeBytes = widened(narrow.sizeBytes);
  const packedBytes = widened(narrow.packedBytes);
  return { sizeBytes, packedBytes, headerAt: widened(narrow.headerAt) };
}

function findField(extra: Buffer, id: number): Buffer | undefined {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === id) return extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  }
  return undefined;
}
