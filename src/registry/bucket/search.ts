import type { SelectPolicy } from "../../release/select.ts";
import type { ParsedVersion } from "../../release/version.ts";
import type { ObjectEntry, ObjectStore } from "../../store/store.ts";
import type { Call } from "../../util/async.ts";
import { Ranking } from "./ranking.ts";
import { type Branch, branchesOf, leafDepth, root } from "./version-tree.ts";

export interface SearchLimits {
  /** What the services put on one page of a list. */
  readonly pageEntries: number;
  /** A tree that takes more pages than that is none: its tags are spread too thinly, or crowd in one place. */
  readonly treePages: number;
  /** So many searches after it was found to be large, a bucket may be small again. */
  readonly forgetAfter: number;
}

const defaultLimits: SearchLimits = { pageEntries: 1000, treePages: 16, forgetAfter: 50 };

/**
 * Finds the newest tags among a store's top-level prefixes. Up to one page of them is read at once. Of more, SemVer's
 * are reached by their numbers, the highest first (`v2.`, `v2.17.`, then its tags), which takes three small lists
 * however many there are. What has no such order, or too many gaps, is read page by page.
 */
export class TagSearch {
  #way: "page" | "tree" | "pages" = "page";
  #searches = 0;

  constructor(
    private readonly store: Pick<ObjectStore, "list">,
    private readonly policy: SelectPolicy,
    private readonly limits: SearchLimits = defaultLimits,
  ) {}

  /** The newest tags; below `below` where that is given. Of other slots at least those newer than the first chosen. */
  async newest(below: ParsedVersion | null, c: Call): Promise<Ranking> {
    if (this.#searches++ % this.limits.forgetAfter === 0) this.#way = "page";
    if (this.#way === "page") {
      const ranking = await this.#readTags(below, this.#hasTree, c);
      if (ranking !== null) return ranking;
      this.#way = "tree";
    }
    if (this.#way === "tree") {
      const ranking = new Ranking(this.policy, below);
      const pages = new Pages(this.store, this.limits, c);
      if (await this.#descend(root, ranking, below, pages)) return ranking;
      this.#way = "pages";
    }
    return (await this.#readTags(below, false, c)) ?? new Ranking(this.policy, below);
  }

  get #hasTree(): boolean {
    return this.policy.scheme.mayBegin !== undefined;
  }

  /** null: there is more than one page. */
  async #readTags(below: ParsedVersion | null, onePage: boolean, c: Call): Promise<Ranking | null> {
    const ranking = new Ranking(this.policy, below);
    let entries = 0;
    for await (const entry of this.store.list("", { delimiter: "/" }, c)) {
      if (entry.kind === "prefix") ranking.offer(entry.key.slice(0, -1));
      entries += 1;
      if (onePage && entries === this.limits.pageEntries) return null;
    }
    return ranking;
  }

  /** Until something is chosen; false when that takes too many pages. */
  async #descend(
    branch: Branch,
    ranking: Ranking,
    below: ParsedVersion | null,
    pages: Pages,
  ): Promise<boolean> {
    const isLeaf = branch.numbers.length === leafDepth;
    const found: string[] = [];
    for (const prefix of branch.prefixes) {
      for await (const { kind, key } of pages.list(prefix, isLeaf ? "/" : ".")) {
        if (pages.areSpent) return false;
        if (kind === "object") continue;
        if (isLeaf) ranking.offer(key.slice(0, -1));
        else found.push(key);
      }
    }
    if (isLeaf) return !pages.areSpent;
    for (const child of branchesOf(branch, found, this.policy, below)) {
      if (!(await this.#descend(child, ranking, below, pages))) return false;
      if (ranking.chosen.length > 0) return true;
    }
    return !pages.areSpent;
  }
}

/** Lists, and counts what that costs. */
class Pages {
  #read = 0;

  constructor(
    private readonly store: Pick<ObjectStore, "list">,
    private readonly limits: SearchLimits,
    private readonly c: Call,
  ) {}

  get areSpent(): boolean {
    return this.#read > this.limits.treePages;
  }

  async *list(prefix: string, delimiter: string): AsyncGenerator<ObjectEntry> {
    this.#read += 1;
    if (this.areSpent) return;
    let entries = 0;
    for await (const entry of this.store.list(prefix, { delimiter }, this.c)) {
      if (entries > 0 && entries % this.limits.pageEntries === 0) this.#read += 1;
      entries += 1;
      yield entry;
    }
  }
}
