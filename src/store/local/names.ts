import { join } from "node:path";
import { checkKey } from "../key.ts";

/**
 * Keys as paths. A hidden name is work in progress, or the store's own: a lock, a digest. So a part of a key that
 * begins with a dot goes by `%2E…`, and what looks like that by `%25…`; everything else keeps its name.
 */
export function pathOfKey(directory: string, key: string): string {
  return join(directory, ...checkKey(key).split("/").map(nameOfPart));
}

/** The part of a key that a file or directory stands for; null for a hidden one. */
export function partOfName(name: string): string | null {
  if (name.startsWith(".")) return null;
  if (name.startsWith("%2E")) return `.${name.slice(3)}`;
  return name.startsWith("%25") ? `%${name.slice(3)}` : name;
}

/** The directory that holds all keys with this prefix, as a key; null where no key can have it. */
export function directoryOfPrefix(prefix: string): string | null {
  const directory = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  if (directory === "") return "";
  try {
    return `${checkKey(directory.slice(0, -1))}/`;
  } catch {
    return null;
  }
}

/** `key` ends with `/`, or is empty. */
export function pathOfDirectory(directory: string, key: string): string {
  return key === "" ? directory : pathOfKey(directory, key.slice(0, -1));
}

/** In the order of their UTF-8, which is not that of UTF-16 where there are surrogates. */
export function sortByBytes<T>(items: T[], text: (item: T) => string): T[] {
  if (!items.some((item) => /[\ud800-\udfff]/.test(text(item)))) {
    return items.sort((a, b) => (text(a) < text(b) ? -1 : 1));
  }
  const encoded = items.map((item) => ({ item, bytes: Buffer.from(text(item)) }));
  return encoded.sort((a, b) => Buffer.compare(a.bytes, b.bytes)).map(({ item }) => item);
}

function nameOfPart(part: string): string {
  if (part.startsWith(".")) return `%2E${part.slice(1)}`;
  return /^%2[E5]/.test(part) ? `%25${part.slice(1)}` : part;
}
