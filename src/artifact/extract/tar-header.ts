import { Header } from "tar/header";
import type { Overrides } from "./pax.ts";
import { corrupt, quote, refused } from "./refusal.ts";

type MetaType = "local" | "global" | "longName" | "longLink";

/** A tar header as it stands in the archive, before extended headers are applied. */
export type TarBlock =
  | { readonly kind: "zero" }
  | { readonly kind: "meta"; readonly meta: MetaType; readonly name: string; readonly sizeBytes: number }
  | { readonly kind: "entry"; readonly header: Header; readonly sizeBytes: number };

const metas: ReadonlyMap<string, MetaType> = new Map<string, MetaType>([
  ["ExtendedHeader", "local"],
  ["GlobalExtendedHeader", "global"],
  ["NextFileHasLongPath", "longName"],
  ["NextFileHasLongLinkpath", "longLink"],
]);

/** Decodes 512 bytes with `tar`'s Header (ustar, GNU and v7 fields). `archive-corrupt` when they are no header. */
export function parseBlock(block: Buffer): TarBlock {
  const header = decode(block);
  if (header.nullBlock) return { kind: "zero" };
  if (!header.cksumValid) throw corrupt("the archive has a tar header with a wrong checksum");
  const sizeBytes = header.size;
  if (sizeBytes === undefined || !Number.isSafeInteger(sizeBytes)) {
    throw corrupt(`the tar header of ${quote(header.path ?? "")} has no valid size`);
  }
  const meta = metas.get(header.type);
  if (meta === undefined) return { kind: "entry", header, sizeBytes };
  return { kind: "meta", meta, name: header.path ?? "", sizeBytes };
}

function decode(block: Buffer): Header {
  try {
    return new Header(block);
  } catch (error) {
    throw corrupt("the archive has a tar header with a number that can't be read", error);
  }
}

/** An entry as the release's writer wants it. */
export type TarEntry =
  | {
      readonly type: "file";
      readonly name: string;
      readonly mode: number;
      readonly sizeBytes: number;
      readonly mtimeSeconds: number | null;
    }
  | { readonly type: "directory"; readonly name: string; readonly mode: number }
  | { readonly type: "symlink" | "hardLink"; readonly name: string; readonly target: string };

const types: ReadonlyMap<string, TarEntry["type"]> = new Map<string, TarEntry["type"]>([
  ["File", "file"],
  ["OldFile", "file"],
  ["ContiguousFile", "file"],
  ["Directory", "directory"],
  ["SymbolicLink", "symlink"],
  ["Link", "hardLink"],
]);

const refusedTypes: ReadonlyMap<string, string> = new Map([
  ["CharacterDevice", "is a character device"],
  ["BlockDevice", "is a block device"],
  ["FIFO", "is a named pipe"],
  ["SparseFile", "is a sparse file"],
  ["TapeVolumeHeader", "is a volume label"],
  ["ContinuationFile", "is a part of a multi-volume archive"],
  ["GNUDumpDir", "is part of an incremental backup"],
]);

/** Puts a header and what extended headers said about it together. */
export function toEntry(header: Header, sizeBytes: number, overrides: Overrides): TarEntry {
  const name = overrides.path ?? header.path ?? "";
  const type = types.get(header.type);
  if (type === undefined) {
    const why = refusedTypes.get(header.type) ?? "is of a type dewy does not know";
    throw refused(name, why, "pack only files, directories and links, as tar -czf does");
  }
  const mode = header.mode;
  if (mode === undefined || mode < 0 || !Number.isSafeInteger(mode)) {
    throw corrupt(`the tar header of ${quote(name)} has no valid mode`);
  }
  if (type === "file" && !name.endsWith("/")) {
    return { type, name, mode, sizeBytes, mtimeSeconds: mtimeOf(header, overrides) };
  }
  // Tars differ on whether content follows here: one of them would read it as headers.
  if (sizeBytes !== 0) throw refused(name, "is no file but has content", "pack it again with GNU tar");
  if (type === "file" || type === "directory") return { type: "directory", name, mode };
  return { type, name, target: overrides.linkpath ?? header.linkpath ?? "" };
}

/** Null for times no disk can keep; they are no reason to refuse a release. */
function mtimeOf(header: Header, overrides: Overrides): number | null {
  const seconds = overrides.mtimeSeconds ?? (header.mtime?.getTime() ?? 0) / 1000;
  return seconds > 0 && seconds < 2 ** 32 ? seconds : null;
}
