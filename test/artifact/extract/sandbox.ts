import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extractArchive } from "../../../src/artifact/extract/extract.ts";
import type { ExtractLimits } from "../../../src/artifact/extract/limits.ts";
import type { ExtractSummary } from "../../../src/artifact/extract/writer.ts";
import { DewyError } from "../../../src/errors.ts";

export const roomy: ExtractLimits = { maxBytes: 64 * 1024 * 1024, maxEntries: 10_000, maxRatio: 1000 };

/**
 * A temporary tree as a release lies in it: `releases/.partial-1` to extract into, with things beside and above
 * it that an archive would like to change. Removed on dispose.
 */
export class Sandbox {
  readonly base: string;
  readonly releases: string;
  readonly into: string;

  constructor(under: string = tmpdir()) {
    this.base = mkdtempSync(join(under, "dewy-extract-"));
    this.releases = join(this.base, "releases");
    this.into = join(this.releases, ".partial-1");
    mkdirSync(join(this.releases, "old"), { recursive: true });
    writeFileSync(join(this.releases, "old", "app"), "old release");
    writeFileSync(join(this.base, "passwd"), "root:x:0:0", { mode: 0o600 });
    symlinkSync("releases/old", join(this.base, "current"));
    this.empty();
  }

  /** Empties the directory to extract into. */
  empty(): void {
    removeTree(this.into);
    mkdirSync(this.into);
  }

  /** Writes the archive beside the releases and extracts it. */
  async extract(
    archive: Uint8Array,
    name: string,
    limits: ExtractLimits = roomy,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<ExtractSummary> {
    return extractArchive(this.write(archive, name), this.into, limits, { signal });
  }

  write(archive: Uint8Array, name: string): string {
    const path = join(this.base, name);
    writeFileSync(path, archive);
    return path;
  }

  /** Everything outside the directory to extract into and the archives: kind, mode, mtime and content. */
  outside(): string[] {
    const skip = (path: string) => path === this.into || /\.(tar|t?gz|t?xz|t?bz2|zip)$/.test(path);
    // The parent of .partial-1 changes its own mtime when a test empties that.
    return snapshot(this.base, skip).map((line) => line.replace(/^(\/releases|) (.*) mtime \d+ /, "$1 $2 "));
  }

  inside(): string[] {
    return snapshot(this.into, () => false);
  }

  [Symbol.dispose](): void {
    removeTree(this.base);
  }
}

/** One line for each path below `root`, and for `root`. */
function snapshot(root: string, skip: (path: string) => boolean, below = ""): string[] {
  const path = root + below;
  if (skip(path)) return [];
  const stat = lstatSync(path);
  const mode = (stat.mode & 0o7777).toString(8);
  const head = `${below} ${mode} ${stat.nlink} mtime ${Math.trunc(stat.mtimeMs)} `;
  if (stat.isSymbolicLink()) return [`${head}link ${readlinkSync(path)}`];
  if (stat.isFile()) return [`${head}file ${readFileSync(path).toString("base64").slice(0, 100)}`];
  const children = readdirSync(path).sort();
  return [`${head}directory`, ...children.flatMap((name) => snapshot(root, skip, `${below}/${name}`))];
}

function removeTree(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Only root may remove what lies in a directory without permissions.
    unlock(path);
    rmSync(path, { recursive: true, force: true });
  }
}

function unlock(path: string): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) unlock(join(path, entry.name));
  }
}

/** The DewyError that `work` ends with. */
export async function failureOf(work: Promise<unknown>): Promise<DewyError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof DewyError) return error;
    throw error;
  }
  throw new Error("it was extracted");
}
