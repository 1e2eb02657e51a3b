import { DewyError } from "../../errors.ts";
import { isAnswerTooLarge } from "../../http/body.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { GithubApi } from "./api.ts";
import { readReleases, type WireRelease } from "./wire.ts";

interface Page {
  readonly url: string;
  readonly releases: readonly WireRelease[];
  readonly next: string | null;
  /** Calls an hour; null where the server does not limit them. */
  readonly hourlyLimit: number | null;
}

interface Known {
  readonly pages: readonly Page[];
  readonly releases: readonly WireRelease[];
  readonly atMs: number;
}

interface ListingDeps {
  readonly api: GithubApi;
  readonly clock: Clock;
  /** How often all pages are asked for, though the first one did not change. */
  readonly fullPassMs: number;
}

/** Where reports of a large fleet make a page too large to read, smaller pages are asked for. */
const pageSizes = [100, 30, 10] as const;
const maxPages = 500;

/**
 * All releases of a repository, for one conditional request a poll.
 *
 * GitHub lists the newest first, so what is published, edited or deleted among the newest hundred changes the
 * first page: only that page, and the page that holds the release in use, is asked for each time, and answers
 * 304. When one of them changed, all pages are read again. What changes elsewhere (an old draft published late,
 * an old release un-marked as pre-release) is seen by a full pass every `fullPassMs`.
 */
export class ReleaseListing {
  #known: Known | null = null;
  #sizeIndex = 0;

  constructor(private readonly deps: ListingDeps) {}

  get hourlyLimit(): number | null {
    return this.#known?.pages[0]?.hourlyLimit ?? null;
  }

  get pageCount(): number {
    return this.#known?.pages.length ?? 1;
  }

  /** Newest first by creation; the very same array as long as nothing changed. `inUse` is a tag. */
  async read(inUse: string | null, c: Call): Promise<readonly WireRelease[]> {
    try {
      return await this.#refresh(inUse, c);
    } catch (error) {
      if (!isAnswerTooLarge(error) || this.#sizeIndex === pageSizes.length - 1) throw error;
      this.#sizeIndex += 1;
      this.#known = null;
      return this.read(inUse, c);
    }
  }

  /** On which page a release stands, the first being 0. */
  pageOf(tag: string | null): number {
    const pages = this.#known?.pages ?? [];
    return Math.max(
      0,
      pages.findIndex((page) => page.releases.some((release) => release.tag_name === tag)),
    );
  }

  async #refresh(inUse: string | null, c: Call): Promise<readonly WireRelease[]> {
    const first = await this.#page(this.deps.api.url(`/releases?per_page=${pageSizes[this.#sizeIndex]}`), c);
    const known = this.#known;
    const due = known !== null && this.deps.clock.monotonicMs() - known.atMs >= this.deps.fullPassMs;
    let unchanged = known !== null && !first.changed && !(await this.#changed(known, this.pageOf(inUse), c));
    if (known !== null && unchanged && !due) return known.releases;
    // The pages' ETags are remembered already: should this pass fail, the next one must not take 304 for "as before".
    this.#known = null;
    const pages = [first.page];
    for (let next = first.page.next; next !== null; ) {
      if (pages.length === maxPages) throw new DewyError("bad-answer", "list releases: the pages do not end");
      const { page, changed } = await this.#page(next, c);
      pages.push(page);
      unchanged &&= !changed;
      next = page.next;
    }
    const same = known !== null && unchanged && pages.length === known.pages.length;
    const releases = same ? known.releases : pages.flatMap((page) => page.releases);
    this.#known = { pages, releases, atMs: this.deps.clock.monotonicMs() };
    return releases;
  }

  async #changed(known: Known, index: number, c: Call): Promise<boolean> {
    const page = known.pages[index];
    return index > 0 && page !== undefined && (await this.#page(page.url, c)).changed;
  }

  async #page(url: string, c: Call): Promise<{ page: Page; changed: boolean }> {
    const { value, changed } = await this.deps.api.getJson(
      url,
      {
        doing: "list releases",
        read: (json, headers): Page => ({
          url,
          releases: readReleases(json),
          next: this.#nextPage(url, headers),
          hourlyLimit: limitOf(headers),
        }),
      },
      c,
    );
    return { page: value, changed };
  }

  /** RFC 8288; a link to another origin would carry the token there. */
  #nextPage(url: string, headers: Headers): string | null {
    const target = /<([^>]*)>[^,]*;\s*rel="?next"?/.exec(headers.get("link") ?? "")?.[1];
    if (target === undefined) return null;
    const next = URL.parse(target, url);
    if (next === null || !this.deps.api.isOwn(next)) {
      throw new DewyError("bad-answer", "list releases: the next page is said to be on another host");
    }
    return next.href;
  }
}

function limitOf(headers: Headers): number | null {
  const value = headers.get("x-ratelimit-limit");
  return value !== null && /^\d+$/.test(value) ? Number(value) : null;
}
