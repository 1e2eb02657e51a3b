import { posix } from "node:path";
import { messageOf } from "../../errors.ts";
import { parseDuration } from "../../util/time.ts";
import { invalid } from "./problem.ts";

/** Binary, as Docker counts memory: `m` and `mb` are MiB. */
const powers = "kmgtp";

/** `512m`, `1.5g`, `64KiB`, `1048576` (docker/go-units RAMInBytes) → bytes. */
export function bytesOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:b|([kmgtp])(?:i?b)?)?$/i.exec(text);
  if (match === null) throw invalid(`"${text}" is not a size`, "write 512m, 2g or a number of bytes");
  const power = match[2] === undefined ? 0 : powers.indexOf(match[2].toLowerCase()) + 1;
  const bytes = Math.floor(Number(match[1]) * 1024 ** power);
  if (!Number.isSafeInteger(bytes)) throw invalid(`"${text}" is too large`, "write 512m or 2g");
  return bytes;
}

/** A whole number from `least` to `most`. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value + 0;
    throw invalid(`"${text}" is not a whole number ${range}`);
  };
}

/** A duration → nanoseconds. The engine wants none at all or a millisecond at least. */
export function nanosecondsOf(text: string): number {
  const ms = readDuration(text);
  const ns = Math.round(ms * 1e6);
  if (ns !== 0 && ms < 1) throw invalid(`"${text}" is too short`, "write 1ms or more");
  if (!Number.isSafeInteger(ns)) throw invalid(`"${text}" is too long`, "write at most 2400h");
  return ns;
}

function readDuration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw invalid(messageOf(error), "write 30s, 1m30s or 500ms");
  }
}

/** As Go's strconv.ParseBool. */
export function booleanOf(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw invalid(`"${text}" is neither true nor false`, "write true or false");
}

/** `key=value` at the first `=`. The message names at most the key: the value may be a secret. */
export function pairOf(text: string, example: string): [key: string, value: string] {
  const at = text.indexOf("=");
  if (at <= 0) throw invalid("has a value that is not key=value", `write for example ${example}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/**
 * One line of comma-separated fields (RFC 4180, as Go's encoding/csv reads it): a field may stand in double quotes,
 * where `""` is one quote.
 */
export function fieldsOf(text: string): string[] {
  if (!/^(?:"(?:[^"]|"")*"|[^",]*)(?:,(?:"(?:[^"]|"")*"|[^",]*))*$/.test(text)) {
    throw invalid("has a stray double quote", "put a field with commas into quotes: '\"device=0,1\"'");
  }
  const fields = text.match(/(?<=^|,)(?:"(?:[^"]|"")*"|[^",]*)(?=,|$)/g) ?? [];
  return fields.map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field));
}

/** An absolute path inside the container, other than its root. */
export function containerPath(text: string): string {
  if (!text.startsWith("/")) throw invalid(`"${text}" is not an absolute path in the container`);
  if (posix.normalize(text).length < 2)
    throw invalid(`"${text}" is the container's root`, "name a directory below it");
  return text;
}
