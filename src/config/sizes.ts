import { invalid } from "./problem.ts";

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
const hint = "write 500MB, 2GiB or a number of bytes";

/** `500MB` (10^6), `2GiB` (2^30), `1.5GiB`, `1048576` → bytes, at least 1. Units in any case. Throws `config-invalid`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text);
  const unit = unitBytes[match?.[2]?.toLowerCase() ?? "?"];
  if (match === null || unit === undefined) throw invalid(`"${text}" is not a size`, hint);
  const bytes = Math.floor(Number(match[1]) * unit);
  if (bytes < 1) throw invalid(`"${text}" is less than one byte`, hint);
  if (!Number.isSafeInteger(bytes)) throw invalid(`"${text}" is larger than any file`, hint);
  return bytes;
}
