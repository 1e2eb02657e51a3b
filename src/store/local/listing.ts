import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { abortable, type Call } from "../../util/async.ts";
import { isAbsent } from "../../util/fs.ts";
import type { ObjectEntry } from "../store.ts";
import { statFile, updatedAtOf, versionOf } from "./file.ts";
import { directoryOfPrefix, partOfName, pathOfDirectory, sortByBytes } from "./names.ts";

interface Listing {
  readonly directory: string;
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly c: Call;
}

/** A file, or a directory with `/` at the end of its key. */
interface Named {
  readonly key: string;
  readonly path: string;
  readonly isDirectory: boolean;
}

/**
 * ObjectStore.list below a directory. Links to files and directories are followed; those that lead nowhere, or back
 * to where one came from, are none. A directory counts as a prefix without a look at what is in it. null: the
 * directory of the prefix is not there.
 */
export async function* listDirectory(
  directory: string,
  prefix: string,
  delimiter: string | undefined,
  c: Call,
): AsyncGenerator<ObjectEntry> {
  const start = directoryOfPrefix(prefix);
  if (start === null) return;
  const listing = { directory, prefix, delimiter, c };
  let last: string | null = null;
  for await (const entry of walk(listing, start, [])) {
    if (entry.kind === "prefix" && entry.key === last) continue;
    if (entry.kind === "prefix") last = entry.key;
    yield entry;
  }
}

async function* walk(
  listing: Listing,
  directoryKey: string,
  above: readonly string[],
): AsyncGenerator<ObjectEntry> {
  const path = pathOfDirectory(listing.directory, directoryKey);
  const identity = await identityOf(path, listing.c);
  if (identity === null || above.includes(identity)) return;
  for (const named of await namesIn(path, directoryKey, listing.c)) {
    listing.c.signal.throwIfAborted();
    if (!named.key.startsWith(listing.prefix)) continue;
    const prefix = commonPrefix(named.key, listing);
    if (prefix !== null) yield { kind: "prefix", key: prefix };
    else if (named.isDirectory) yield* walk(listing, named.key, [...above, identity]);
    else {
      const found = await abortable(statFile(named.path), listing.c.signal);
      if (found === null) continue;
      yield {
        kind: "object",
        key: named.key,
        sizeBytes: Number(found.size),
        version: versionOf(found),
        updatedAt: updatedAtOf(found),
      };
    }
  }
}

function commonPrefix(key: string, { prefix, delimiter }: Listing): string | null {
  if (delimiter === undefined) return null;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? null : key.slice(0, at + delimiter.length);
}

async function namesIn(path: string, directoryKey: string, c: Call): Promise<Named[]> {
  const entries = await abortable(readdir(path, { withFileTypes: true }), c.signal).catch(noneIfAbsent);
  const found: Named[] = [];
  for (const entry of entries) {
    const part = partOfName(entry.name);
    if (part === null) continue;
    const inside = join(path, entry.name);
    const isDirectory = await leadsToDirectory(inside, entry, c);
    if (isDirectory === null) continue;
    found.push({ key: `${directoryKey}${part}${isDirectory ? "/" : ""}`, path: inside, isDirectory });
  }
  return sortByBytes(found, ({ key }) => key);
}

/** null: a link that leads nowhere. */
async function leadsToDirectory(path: string, entry: Dirent, c: Call): Promise<boolean | null> {
  if (entry.isDirectory()) return true;
  if (entry.isFile()) return false;
  const found = await abortable(stat(path), c.signal).catch(nullIfAbsent);
  return found === null ? null : found.isDirectory();
}

async function identityOf(path: string, c: Call): Promise<string | null> {
  const found = await abortable(stat(path, { bigint: true }), c.signal).catch(nullIfAbsent);
  return found?.isDirectory() === true ? `${found.dev}:${found.ino}` : null;
}

function noneIfAbsent(error: unknown): Dirent[] {
  if (isAbsent(error)) return [];
  throw error;
}

function nullIfAbsent(error: unknown): null {
  if (isAbsent(error)) return null;
  throw error;
}
