import { DewyError } from "../errors.ts";
import type { Call } from "../util/async.ts";
import { type DistributionApi, parseAnswer } from "./api.ts";
import { hostWithoutPort, isTag } from "./reference.ts";
import { readTagList } from "./wire.ts";

interface Page {
  readonly etag: string | null;
  readonly tags: readonly string[];
  /** The query of the next page's address. */
  readonly next: string | null;
}

/** As many at once as the usual registries give; one that allows fewer answers 400, and is left to choose. */
const largePages = "?n=1000";
const maxPages = 500;
const maxPageBytes = 16 * 1024 * 1024;
const maxTags = 500_000;

/** All tags of a repository, in the registry's order. Pages with an ETag are asked for conditionally. */
export class TagList {
  #pages = new Map<string, Page>();
  #first = largePages;

  constructor(private readonly api: DistributionApi) {}

  async read(c: Call): Promise<readonly string[]> {
    const pages = new Map<string, Page>();
    let count = 0;
    for (let query: string | null = this.#first; query !== null; ) {
      if (pages.has(query) || pages.size === maxPages || count > maxTags) {
        throw new DewyError("bad-answer", `${this.#doing}: the pages do not end`);
      }
      const page: Page = await this.#page(query, c);
      pages.set(query, page);
      count += page.tags.length;
      query = page.next;
    }
    this.#pages = pages;
    return [...pages.values()].flatMap((page) => page.tags);
  }

  get #doing(): string {
    const { host, name } = this.api.repository;
    return `list the tags of ${host}/${name}`;
  }

  async #page(query: string, c: Call): Promise<Page> {
    const doing = this.#doing;
    const known = this.#pages.get(query);
    const etag = known?.etag ?? null;
    const conditional: Record<string, string> = etag === null ? {} : { "If-None-Match": etag };
    const request = {
      endpoint: "tags",
      path: `/tags/list${query}`,
      headers: { Accept: "application/json", ...conditional },
      accept: [400, 404, ...(etag === null ? [] : [304])],
      doing,
    } as const;
    const answer = await this.api.ask(request, maxPageBytes, c);
    if (answer.status === 304 && known !== undefined) return known;
    if (answer.status === 400 && query === largePages && this.#first === largePages) {
      this.#first = "";
      return this.#page(this.#first, c);
    }
    if (answer.status === 400) {
      throw new DewyError("http-status", `${doing}: ${answer.host} answered 400`, { retryable: false });
    }
    if (answer.status === 404) {
      throw new DewyError("not-found", `${doing}: no such image, or no right to see it`, {
        hint: "check the name; a private image needs docker login, or see DOCKER_USERNAME",
      });
    }
    return {
      etag: answer.headers.get("etag"),
      // What is no tag by the specification would be none in a URL or an image's name either.
      tags: parseAnswer(answer, doing, readTagList).filter(isTag),
      next: this.#nextQuery(answer.headers.get("link")),
    };
  }

  /**
   * RFC 8288. Only the query is taken: the request goes to our own address, and so does the login, though a
   * registry behind a proxy may name itself with another scheme, port or path. Another host is refused.
   */
  #nextQuery(link: string | null): string | null {
    const target = /<([^>]*)>[^,]*;\s*rel="?next"?/i.exec(link ?? "")?.[1];
    if (target === undefined) return null;
    const own = new URL(this.api.repository.origin);
    const next = URL.parse(target, own.href);
    if (next === null || hostWithoutPort(next.host) !== hostWithoutPort(own.host)) {
      throw new DewyError("bad-answer", `${this.#doing}: the next page is said to be on another host`);
    }
    if (next.search === "") throw new DewyError("bad-answer", `${this.#doing}: the pages do not end`);
    return next.search;
  }
}
