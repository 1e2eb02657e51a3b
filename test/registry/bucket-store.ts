import type { ObjectEntry, ObjectStore, StoredInfo } from "../../src/store/store.ts";
import { byBytes, digestOf } from "../store/contract-support.ts";

/** Objects in memory, with what a registry asks of a store. */
export function memoryStore(
  url = "memory://bucket/prefix",
): ObjectStore & { readonly objects: Map<string, StoredInfo & { body: Uint8Array }> } {
  const objects = new Map<string, StoredInfo & { body: Uint8Array }>();
  let writes = 0;
  const unused = () => Promise.reject(new Error("not of use here"));
  return {
    objects,
    url,
    head: async (key) => objects.get(key) ?? null,
    async get(key) {
      const found = objects.get(key);
      if (found === undefined) return null;
      const chunks = (async function* () {
        yield found.body;
      })();
      return { ...found, offset: 0, chunks };
    },
    async put(key, body, { ifVersion }) {
      if (ifVersion === null && objects.has(key)) return null;
      const version = String(++writes);
      const updatedAt = new Date(Date.UTC(2026, 0, 1) + writes * 1000);
      objects.set(key, { key, sizeBytes: body.length, version, updatedAt, digest: digestOf(body), body });
      return version;
    },
    putFile: unused,
    fetchFile: unused,
    async delete(key) {
      objects.delete(key);
    },
    async *list(prefix, { delimiter }) {
      yield* entriesOf([...objects.keys()].sort(byBytes), prefix, delimiter, (key) => objects.get(key));
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Only a list, of as many keys as one likes. `keys` are in order. */
export function listOf(keys: readonly string[]): Pick<ObjectStore, "list"> {
  const updatedAt = new Date();
  return {
    async *list(prefix, { delimiter }) {
      yield* entriesOf(keys, prefix, delimiter, (key) => ({
        key,
        sizeBytes: 1,
        version: "1",
        updatedAt,
        digest: null,
      }));
    },
  };
}

function* entriesOf(
  keys: readonly string[],
  prefix: string,
  delimiter: string | undefined,
  infoOf: (key: string) => StoredInfo | undefined,
): Generator<ObjectEntry> {
  let last: string | null = null;
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === undefined ? -1 : key.indexOf(delimiter, prefix.length);
    if (at >= 0) {
      const common = key.slice(0, at + (delimiter?.length ?? 0));
      if (common !== last) yield { kind: "prefix", key: common };
      last = common;
      continue;
    }
    const info = infoOf(key);
    if (info === undefined) continue;
    const { sizeBytes, version, updatedAt } = info;
    yield { kind: "object", key, sizeBytes, version, updatedAt };
  }
}

export interface Counts {
  /** Pages, as a service would be asked for them. */
  lists: number;
  entries: number;
  heads: number;
}

/** The same store, counting what it is asked. */
export function counting<S extends Pick<ObjectStore, "list">>(
  store: S,
  pageEntries = 1000,
): { readonly store: S; readonly counts: Counts; reset(): void } {
  const counts = { lists: 0, entries: 0, heads: 0 };
  const counted = {
    ...store,
    async *list(...[prefix, options, c]: Parameters<ObjectStore["list"]>) {
      counts.lists += 1;
      let entries = 0;
      for await (const entry of store.list(prefix, options, c)) {
        if (entries > 0 && entries % pageEntries === 0) counts.lists += 1;
        entries += 1;
        counts.entries += 1;
        yield entry;
      }
    },
    ...("head" in store && typeof store.head === "function"
      ? {
          head: (...call: unknown[]) => {
            counts.heads += 1;
            return Reflect.apply(store.head as (...call: unknown[]) => unknown, store, call);
          },
        }
      : {}),
  };
  return { store: counted, counts, reset: () => Object.assign(counts, { lists: 0, entries: 0, heads: 0 }) };
}
