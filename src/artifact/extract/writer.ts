import { chmodSync, constants, fchmodSync, linkSync, mkdirSync, openSync, symlinkSync } from "node:fs";
import { ReleaseFileWriter, writing } from "./file-writer.ts";
import type { Budget } from "./limits.ts";
import { permissions } from "./names.ts";
import { type Place, ReleaseTree } from "./tree.ts";

/** What was put into the release's directory. */
export interface ExtractSummary {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly hardLinks: number;
  /** Of the files' content. */
  readonly bytes: number;
}

// O_EXCL and O_NOFOLLOW repeat on the disk what the tree has decided: a new file, not through a link.
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const impliedMode = 0o755;

/**
 * Writes a release below `root`, an empty directory. Both formats feed it, so that what is refused is decided
 * once. Never changes owners. Symbolic links are made last: while there are files to write, there is no link
 * to write through. Errors: `archive-refused`, `artifact-too-large`, `disk-full`, `filesystem`; each names
 * the entry.
 */
export class ReleaseWriter {
  readonly #root: string;
  readonly #budget: Budget;
  readonly #tree: ReleaseTree;
  readonly #modes = new Map<string, number>();
  // Read once: asking for the umask changes it for a moment.
  readonly #umask = process.umask();
  readonly #counts = { files: 0, hardLinks: 0 };
  #open: ReleaseFileWriter | null = null;

  constructor(root: string, budget: Budget) {
    this.#root = root;
    this.#budget = budget;
    this.#tree = new ReleaseTree(budget);
  }

  directory(name: string, mode: number): void {
    const wanted = permissions(name, mode);
    const place = this.#tree.directory(name);
    this.#makeDirectories(name, place.missing);
    // The root belongs to the caller; an archive's "./" does not change it.
    if (place.path !== "") this.#modes.set(place.path, wanted);
  }

  /** The file must be closed before the next entry. `sizeBytes`: as declared; no time when it is null. */
  file(name: string, mode: number, sizeBytes: number, mtimeSeconds: number | null): ReleaseFileWriter {
    const wanted = permissions(name, mode);
    this.#budget.declared(sizeBytes, name);
    const place = this.#tree.file(name);
    this.#makeDirectories(name, place.missing);
    const fd = writing(name, () => this.#create(place, wanted));
    this.#counts.files += 1;
    this.#open = new ReleaseFileWriter(fd, name, mtimeSeconds, this.#budget);
    return this.#open;
  }

  symlink(name: string, target: string): void {
    this.#makeDirectories(name, this.#tree.symlink(name, target).missing);
  }

  hardLink(name: string, target: string): void {
    const place = this.#tree.hardLink(name, target);
    this.#makeDirectories(name, place.missing);
    writing(name, () => linkSync(this.#at(place.existing), this.#at(place.path)));
    this.#counts.hardLinks += 1;
  }

  /** Makes the links, then gives directories their modes, deepest first. */
  finish(): ExtractSummary {
    this.#tree.checkLinks();
    for (const [path, target] of this.#tree.links) {
      writing(path, () => symlinkSync(target, this.#at(path)));
    }
    for (const [path, mode] of [...this.#modes].reverse()) {
      writing(path, () => chmodSync(this.#at(path), mode));
    }
    const { files, hardLinks } = this.#counts;
    const symlinks = this.#tree.links.size;
    return { files, directories: this.#modes.size, symlinks, hardLinks, bytes: this.#budget.written };
  }

  [Symbol.dispose](): void {
    this.#open?.[Symbol.dispose]();
  }

  #create(place: Place, mode: number): number {
    const fd = openSync(this.#at(place.path), createFlags, mode);
    if ((mode & this.#umask) !== 0) fchmodSync(fd, mode);
    return fd;
  }

  #makeDirectories(name: string, paths: readonly string[]): void {
    for (const path of paths) {
      writing(name, () => mkdirSync(this.#at(path), 0o700));
      this.#modes.set(path, impliedMode);
    }
  }

  #at(path: string): string {
    return `${this.#root}/${path}`;
  }
}
