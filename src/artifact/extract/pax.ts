import { corrupt, refused } from "./refusal.ts";

/** What an extended header says about the entry after it; the rest of its records is of no use to a release. */
export interface Overrides {
  path?: string;
  linkpath?: string;
  sizeBytes?: number;
  mtimeSeconds?: number;
}

const newline = 0x0a;
const space = 0x20;

/**
 * Reads the records of a PAX extended header (POSIX.1-2017, pax, "pax Extended Header"): `length key=value\n`,
 * the length counting the whole record in bytes. Stricter than `tar`'s Pax, which skips what it can't read,
 * and so would take an entry by the wrong name. Throws `archive-corrupt`; `archive-refused` for sparse files.
 */
export function parsePax(body: Buffer): Overrides {
  const overrides: Overrides = {};
  for (let at = 0; at < body.length; ) {
    const [key, value, end] = record(body, at);
    apply(overrides, key, value);
    at = end;
  }
  return overrides;
}

function record(body: Buffer, at: number): [key: string, value: string, end: number] {
  const gap = body.indexOf(space, at);
  const digits = gap < 0 ? "" : body.toString("latin1", at, gap);
  const end = at + Number(digits);
  if (!/^[1-9]\d{0,8}$/.test(digits) || body[end - 1] !== newline) {
    throw corrupt("a PAX header of the archive has a record of the wrong length");
  }
  const text = body.toString("utf8", gap + 1, end - 1);
  const equals = text.indexOf("=");
  if (equals < 1) throw corrupt("a PAX header of the archive has a record without a key");
  return [text.slice(0, equals), text.slice(equals + 1), end];
}

function apply(overrides: Overrides, key: string, value: string): void {
  if (key.startsWith("GNU.sparse.")) {
    throw refused(overrides.path ?? key, "is a sparse file", "pack without --sparse");
  }
  if (key === "path") overrides.path = value;
  if (key === "linkpath") overrides.linkpath = value;
  if (key === "mtime" && /^\d{1,11}(\.\d+)?$/.test(value)) overrides.mtimeSeconds = Number(value);
  if (key === "size") {
    if (!/^\d{1,15}$/.test(value)) throw corrupt("a PAX header of the archive has a size that is no number");
    overrides.sizeBytes = Number(value);
  }
}
