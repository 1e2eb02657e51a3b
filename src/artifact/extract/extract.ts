import { basename } from "node:path";
import { DewyError, toDewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { ArchiveFile } from "./archive-file.ts";
import { syncDirectoryTree } from "./durable.ts";
import type { Decompress, Extractor } from "./extractor.ts";
import { Budget, type ExtractLimits } from "./limits.ts";
import { quote } from "./refusal.ts";
import { type ExtractSummary, ReleaseWriter } from "./writer.ts";

interface Format {
  readonly suffixes: readonly string[];
  /** Decoders are loaded when an archive needs them: most commands need none. */
  readonly load: () => Promise<Extractor>;
}

const formats: readonly Format[] = [
  { suffixes: [".tar.gz", ".tgz"], load: () => tar(async () => (await import("./gzip.ts")).gunzip) },
  { suffixes: [".tar.bz2", ".tbz2"], load: () => tar(async () => (await import("./bzip2.ts")).bunzip2) },
  { suffixes: [".tar.xz", ".txz"], load: () => tar(async () => (await import("./xz.ts")).unxz) },
  { suffixes: [".tar"], load: () => tar(null) },
  { suffixes: [".zip"], load: async () => (await import("./zip.ts")).extractZip },
];

async function tar(load: (() => Promise<Decompress>) | null): Promise<Extractor> {
  const { tarExtractor } = await import("./tar.ts");
  if (load === null) return tarExtractor((archive) => archive.chunks(), false);
  return tarExtractor(await load(), true);
}

/** What the names of archives that can be extracted end in. */
export const archiveSuffixes: readonly string[] = formats.flatMap((format) => format.suffixes);

/** Whether a file's name says it is an archive `extractArchive` takes; case does not matter. */
export function isArchiveName(name: string): boolean {
  return formatOf(name) !== undefined;
}

/** The suffix of an archive's name, in lower case; empty when it is none. */
export function archiveSuffixOf(name: string): string {
  const lower = name.toLowerCase();
  return archiveSuffixes.find((suffix) => lower.endsWith(suffix)) ?? "";
}

/**
 * Extracts the archive at `archivePath`, of the format its name ends in, into `intoDir`, an existing empty
 * directory, and returns when everything is on disk. On failure `intoDir` may be left half filled; nothing
 * outside it is ever changed. Keeps permission bits (less write for group and others), links, and of a tar's
 * files the modification times; not owners.
 *
 * Errors: `archive-refused` (unknown format, or an entry dewy does not put on a disk), `archive-corrupt`,
 * `artifact-too-large`, `disk-full`, `filesystem`; the signal's reason when it aborts.
 */
export async function extractArchive(
  archivePath: string,
  intoDir: string,
  limits: ExtractLimits,
  c: Call,
): Promise<ExtractSummary> {
  c.signal.throwIfAborted();
  const name = basename(archivePath);
  const format = formatOf(name);
  if (format === undefined) throw unknownFormat(name);
  try {
    const extract = await format.load();
    using archive = new ArchiveFile(archivePath);
    const budget = new Budget(limits, archive.sizeBytes);
    using writer = new ReleaseWriter(intoDir, budget);
    await extract({ archive, writer, budget }, c);
    c.signal.throwIfAborted();
    const summary = writer.finish();
    if (summary.files + summary.symlinks + summary.hardLinks === 0) throw emptyArchive(name);
    syncDirectoryTree(intoDir);
    return summary;
  } catch (error) {
    if (c.signal.aborted && error === c.signal.reason) throw error;
    throw toDewyError(error, `extracting ${quote(name)}`);
  }
}

function formatOf(name: string): Format | undefined {
  const suffix = archiveSuffixOf(name);
  return formats.find((format) => format.suffixes.includes(suffix));
}

/** Somebody's packing went wrong: nobody means to put nothing in place. */
function emptyArchive(name: string): DewyError {
  return new DewyError("archive-refused", `${quote(name)} holds no files`, {
    hint: "look at how the release is packed",
  });
}

function unknownFormat(name: string): DewyError {
  return new DewyError("archive-refused", `${quote(name)} is not a kind of archive dewy extracts`, {
    hint: `publish the release as one of ${archiveSuffixes.join(" ")}`,
  });
}
