import { DewyError, messageOf } from "../errors.ts";

const unitBytes: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** `500MB` (10^6), `2GiB` (2^30), `1.5GiB`, `1048576` → bytes, at least 1. Units in any case. Throws `config-invalid`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text);
  const unit = unitBytes[match?.[2]?.toLowerCase() ?? "?"];
  if (match === null || unit === undefined) throw invalid(`"${text}" is not a size`);
  const bytes = Math.floor(Number(match[1]) * unit);
  if (bytes < 1) throw invalid(`"${text}" is less than one byte`);
  if (!Number.isSafeInteger(bytes)) throw invalid(`"${text}" is larger than any file`);
  return bytes;
}

function invalid(message: string): DewyError {
  return new DewyError("config-invalid", message, { hint: "write 500MB, 2GiB or a number of bytes" });
}

/** parseSize for readQuery: throws an Error that goes on after the parameter's name. */
export function size(value: string): number {
  try {
    return parseSize(value);
  } catch (error) {
    throw new Error(`is "${value}"; ${error instanceof DewyError ? error.hint : messageOf(error)}`);
  }
}
