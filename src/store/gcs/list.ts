import { DewyError, toDewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { checkKey } from "../key.ts";
import type { ObjectEntry } from "../store.ts";
import { listFields, objectInfo, type WirePage } from "./wire.ts";

interface Wanted {
  /** `prefix/` of the store; empty: the bucket. */
  readonly root: string;
  readonly prefix: string;
  readonly delimiter: string | null;
}

type Ask = (query: Readonly<Record<string, string>>) => Promise<WirePage>;

/** A service may answer pages with nothing in them; one that does nothing else leads in circles. */
const maxFruitlessPages = 100;

/** Page by page, in the order of the keys' bytes. */
export async function* listEntries(ask: Ask, wanted: Wanted, c: Call): AsyncGenerator<ObjectEntry> {
  const base: Record<string, string> = { prefix: wanted.root + wanted.prefix, fields: listFields };
  if (wanted.delimiter !== null) base["delimiter"] = wanted.delimiter;
  let query: Readonly<Record<string, string>> | null = base;
  let held: readonly ObjectEntry[] = [];
  let last: string | null = null;
  for (let fruitless = 0; query !== null; fruitless++) {
    if (fruitless > maxFruitlessPages) throw endless(wanted);
    c.signal.throwIfAborted();
    const page: WirePage = await ask(query);
    const token: string | null = page.nextPageToken || null;
    const { ready, rest } = settled([...held, ...entriesOf(page, wanted)], token === null);
    for (const entry of ready) {
      c.signal.throwIfAborted();
      // Twice in an answer, or again on the next page.
      if (last !== null && compareBytes(entry.key, last) <= 0) continue;
      last = entry.key;
      fruitless = 0;
      yield entry;
    }
    held = rest;
    query = token === null ? null : { ...base, pageToken: token };
  }
}

function endless({ root, prefix }: Wanted): DewyError {
  const text = `list ${root}${prefix}: the service answers page after page with nothing new`;
  return new DewyError("bad-answer", text);
}

/**
 * Prefixes behind a page's last object may come before the next page's objects (fake-gcs-server counts objects only),
 * so they wait for it.
 */
function settled(entries: readonly ObjectEntry[], isLastPage: boolean) {
  const sorted = entries.toSorted((a, b) => compareBytes(a.key, b.key));
  const lastObject = sorted.findLastIndex(({ kind }) => kind === "object");
  const end = isLastPage || lastObject < 0 ? sorted.length : lastObject + 1;
  return { ready: sorted.slice(0, end), rest: sorted.slice(end) };
}

/** Without names that are no keys: folders' placeholders (`a/`), and whatever else a service makes up. */
function entriesOf(page: WirePage, { root, prefix, delimiter }: Wanted): ObjectEntry[] {
  const keyOf = (name: string) => (name.startsWith(root + prefix) ? name.slice(root.length) : null);
  const objects = (page.items ?? []).flatMap((item): ObjectEntry[] => {
    const key = keyOf(item.name);
    return key === null || !isKey(key) ? [] : [{ kind: "object", ...objectInfo(key, item) }];
  });
  const prefixes = (page.prefixes ?? []).flatMap((name): ObjectEntry[] => {
    const key = keyOf(name);
    const ends = key !== null && delimiter !== null && key.endsWith(delimiter) && key !== prefix;
    // `x` stands for what follows, which begins another part where the delimiter is a slash.
    return key !== null && ends && isKey(`${key}x`) ? [{ kind: "prefix", key }] : [];
  });
  return [...objects, ...prefixes];
}

function isKey(key: string): boolean {
  try {
    return checkKey(key) === key;
  } catch (error) {
    if (toDewyError(error, "").code === "internal") return false;
    throw error;
  }
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
