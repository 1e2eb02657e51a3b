import type { Digest, PlacedRelease } from "./release.ts";

/** What tells the content of one release from another's, whatever its tag comes to mean. */
interface Content {
  readonly tag: string;
  readonly digest: Digest | null;
}

/** Of the same tag and content, wherever either lies on this host. */
export function isSameContent(a: Content, b: Content): boolean {
  return a.tag === b.tag && a.digest === b.digest;
}

/** Whether a release stands in a list of bad ones. */
export function isAmong(entries: readonly Content[], placed: Pick<PlacedRelease, "tag" | "digest">): boolean {
  return entries.some((entry) => isSameContent(entry, placed));
}
