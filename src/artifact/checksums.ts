import { basename } from "node:path";
import type { ChecksumFile } from "../release/checksum-files.ts";
import type { Digest } from "../release/release.ts";

interface Entry {
  readonly name: string;
  readonly digest: Digest;
}

/** `hex  name`, `hex *name` (sha256sum), the name possibly with a directory. */
const gnuLine = /^\\?([0-9a-f]+)[ \t]+\*?(\S.*)$/i;
/** `SHA256 (name) = hex` (BSD's sha256, sha256sum --tag). */
const bsdLine = /^([A-Z0-9][A-Z0-9/-]*) ?\((.+)\) ?= ?([0-9a-f]+)$/i;
const bareLine = /^[0-9a-f]{64}$/i;
/** Lengths in hex of MD5, SHA-1, SHA-224, SHA-384 and SHA-512: lines of other algorithms, which say nothing here. */
const otherLengths = new Set([32, 40, 56, 96, 128]);

/**
 * The SHA-256 that a checksum file gives for an artifact; null when it lists others only. Throws an Error that
 * says what is wrong when the text is no checksum file or contradicts itself.
 */
export function checksumFor(artifactName: string, text: string, kind: ChecksumFile["kind"]): Digest | null {
  const lines = text
    .replace(/^\ufeff/, "")
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length === 0) throw new Error("is empty");
  const entries = lines.flatMap((line) => parseLine(line, artifactName, kind));
  const exact = entries.filter((entry) => entry.name === artifactName);
  // `sha256sum dist/*` writes the directory too; only where no line has the exact name.
  const named = exact.length > 0 ? exact : entries.filter((entry) => basename(entry.name) === artifactName);
  const digests = new Set(named.map((entry) => entry.digest));
  if (digests.size > 1) throw new Error(`gives ${digests.size} different digests for ${artifactName}`);
  return named[0]?.digest ?? null;
}

function parseLine(line: string, artifactName: string, kind: ChecksumFile["kind"]): Entry[] {
  if (kind === "sidecar" && bareLine.test(line)) return [entryOf(artifactName, line)];
  const gnu = gnuLine.exec(line);
  const bsd = bsdLine.exec(line);
  const name = gnu?.[2] ?? bsd?.[2];
  const hex = gnu?.[1] ?? bsd?.[3];
  if (name === undefined || hex === undefined)
    throw new Error(`has a line that is no checksum: ${excerpt(line)}`);
  if (bsd !== null && !/^sha-?256$/i.test(bsd[1] ?? "")) return [];
  if (hex.length === 64) return [entryOf(name, hex)];
  if (kind === "aggregate" && otherLengths.has(hex.length)) return [];
  throw new Error(`has a digest of ${hex.length} hex digits, not 64: ${excerpt(line)}`);
}

function entryOf(name: string, hex: string): Entry {
  return { name: name.replace(/^(?:\.\/)+/, ""), digest: `sha256:${hex.toLowerCase()}` };
}

function excerpt(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}
