import type { ListObjectsV2CommandOutput } from "@aws-sdk/client-s3";
import type { DewyError } from "../../errors.ts";
import type { ObjectEntry } from "../store.ts";

export interface PageContext {
  /** The store's prefix with its `/`, or empty: keys are told without it. */
  readonly root: string;
  /** What was asked for, below the root. */
  readonly prefix: string;
  readonly fail: (answered: string) => DewyError;
}

/**
 * Objects and common prefixes of one page, in the order of the keys' bytes. What no key of ours can be (`a//b`, the
 * marker `a/`, `../x`) or was not asked for is passed over.
 */
export function entriesOf(page: ListObjectsV2CommandOutput, context: PageContext): ObjectEntry[] {
  const { fail } = context;
  // A page of HTML, read as a listing, is one of nothing.
  if (page.Name === undefined && page.KeyCount === undefined && page.Prefix === undefined) {
    throw fail("no listing");
  }
  const escaped = page.EncodingType === "url";
  const keyOf = (name = ""): string | null => relative(escaped ? unescaped(name, fail) : name, context);
  const entries: ObjectEntry[] = [];
  for (const { Key, Size, ETag, LastModified } of page.Contents ?? []) {
    const key = keyOf(Key);
    if (key === null || !isKey(key)) continue;
    if (Size === undefined || ETag === undefined || LastModified === undefined) {
      throw fail("an object without size, ETag or time");
    }
    entries.push({ kind: "object", key, sizeBytes: Size, version: ETag, updatedAt: LastModified });
  }
  for (const { Prefix } of page.CommonPrefixes ?? []) {
    const key = keyOf(Prefix);
    if (key !== null && isKeyPrefix(key)) entries.push({ kind: "prefix", key });
  }
  return entries.sort(byBytes);
}

/** Whether keys may begin so. Its last part is unfinished, so anything may stand there. */
export function isKeyPrefix(text: string): boolean {
  return !text.includes("\0") && text.split("/").slice(0, -1).every(isPart);
}

function isKey(text: string): boolean {
  return !text.includes("\0") && text.split("/").every(isPart);
}

function isPart(part: string): boolean {
  return part !== "" && part !== "." && part !== "..";
}

/** null: not below what was asked for. */
function relative(name: string, { root, prefix }: PageContext): string | null {
  return name.startsWith(`${root}${prefix}`) ? name.slice(root.length) : null;
}

/** As forms are escaped: AWS and MinIO write a blank as `+`. */
function unescaped(name: string, fail: PageContext["fail"]): string {
  try {
    return decodeURIComponent(name.replaceAll("+", " "));
  } catch {
    throw fail("a key with a wrong escape");
  }
}

function byBytes(a: ObjectEntry, b: ObjectEntry): number {
  return Buffer.compare(Buffer.from(a.key), Buffer.from(b.key));
}
