import type { Budget } from "./limits.ts";
import { checkChains, checkTarget } from "./links.ts";
import { releasePath } from "./names.ts";
import { refused } from "./refusal.ts";

type Kind = "directory" | "file" | "symlink";

/** Where an entry goes, and the directories to make before it, outermost first. */
export interface Place {
  /** Below the release's root; "" is the root. */
  readonly path: string;
  readonly missing: readonly string[];
}

const onceHint = "pack each path once";

/**
 * What the release holds so far. Every decision on where something may go is made here, on the names alone, so
 * that nothing is ever looked up on the disk, where a link of the archive could answer.
 * All methods throw `archive-refused`, or `artifact-too-large` when there are too many entries.
 */
export class ReleaseTree {
  readonly #kinds = new Map<string, Kind>([["", "directory"]]);
  readonly #links = new Map<string, string>();
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** Symbolic links so far: path to target. */
  get links(): ReadonlyMap<string, string> {
    return this.#links;
  }

  /** A directory may come again, and after its content; it is in `missing` when it is new. */
  directory(name: string): Place {
    const path = releasePath(name);
    const there = this.#kinds.get(path);
    if (there === "directory") {
      this.#budget.entry(name);
      return { path, missing: [] };
    }
    if (there !== undefined) throw refused(name, `is a directory where a ${there} is already`, onceHint);
    const missing = this.#parents(name, path);
    this.#add(name, path, "directory");
    return { path, missing: [...missing, path] };
  }

  file(name: string): Place {
    return this.#claim(name, "file");
  }

  symlink(name: string, target: string): Place {
    const place = this.#claim(name, "symlink");
    checkTarget(place.path, target);
    this.#links.set(place.path, target);
    return place;
  }

  /** `existing` is the path of the regular file the hard link shares. */
  hardLink(name: string, target: string): Place & { readonly existing: string } {
    const existing = releasePath(target);
    const kind = this.#kinds.get(existing);
    if (kind !== "file") {
      const what = kind === undefined ? "something that is not before it in the archive" : `a ${kind}`;
      throw refused(name, `is a hard link to ${what}`, "link only to regular files of the same release");
    }
    return { ...this.#claim(name, "file"), existing };
  }

  /** To be called when all entries are known, and before any symbolic link is made. */
  checkLinks(): void {
    checkChains(this.#links);
  }

  #claim(name: string, kind: Kind): Place {
    const path = releasePath(name);
    const there = this.#kinds.get(path);
    if (there !== undefined) {
      const what = there === kind ? "comes twice" : `is a ${kind} where a ${there} is already`;
      throw refused(name, what, onceHint);
    }
    const missing = this.#parents(name, path);
    this.#add(name, path, kind);
    return { path, missing };
  }

  #parents(name: string, path: string): string[] {
    const missing: string[] = [];
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const above = path.slice(0, end);
      const kind = this.#kinds.get(above);
      // The parents of a directory are directories: no need to look further up.
      if (kind === "directory") break;
      if (kind !== undefined) {
        throw refused(name, `would be written through a ${kind}`, "pack directories as directories");
      }
      missing.push(above);
    }
    missing.reverse();
    for (const above of missing) this.#add(name, above, "directory");
    return missing;
  }

  #add(name: string, path: string, kind: Kind): void {
    this.#budget.entry(name);
    this.#kinds.set(path, kind);
  }
}
