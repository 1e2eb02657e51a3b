import { openBucket } from "../../src/registry/bucket/registry.ts";
import type { ObjectStore } from "../../src/store/store.ts";
import type { StoreFixture } from "../store/contract.ts";
import { contractPlatform, type RegistryFixture } from "./contract.ts";

const c = { signal: new AbortController().signal };

/** A registry in whatever store there is. */
export function bucketFixture(fixture: StoreFixture): RegistryFixture {
  const { store } = fixture;
  // The contract closes each registry, but the store serves them all.
  const lent: ObjectStore = { ...methodsOf(store), async [Symbol.asyncDispose]() {} };
  return {
    publish: (tag, files) => publishTo(store, tag, files),
    async remove(tag) {
      for (const key of await keysIn(store, tag)) await store.delete(key, c);
    },
    async reports(tag) {
      const keys = await keysIn(store, tag);
      const reports = keys.filter((key) => key.startsWith(`${tag}/shipped_to_`));
      return Promise.all(reports.map((key) => readText(store, key)));
    },
    open: async (policy) => openBucket(lent, { policy, platform: contractPlatform, artifact: null }),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

export async function publishTo(
  store: ObjectStore,
  tag: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, body] of Object.entries(files)) {
    await store.put(`${tag}/${name}`, new TextEncoder().encode(body), {}, c);
  }
}

/** Of an object of a class, too, whose methods a spread would lose. */
export function methodsOf(store: ObjectStore): ObjectStore {
  return {
    url: store.url,
    head: (...call) => store.head(...call),
    get: (...call) => store.get(...call),
    put: (...call) => store.put(...call),
    putFile: (...call) => store.putFile(...call),
    fetchFile: (...call) => store.fetchFile(...call),
    list: (...call) => store.list(...call),
    delete: (...call) => store.delete(...call),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function keysIn(store: ObjectStore, tag: string): Promise<string[]> {
  const entries = await Array.fromAsync(store.list(`${tag}/`, {}, c));
  return entries.map(({ key }) => key);
}

async function readText(store: ObjectStore, key: string): Promise<string> {
  const found = await store.get(key, null, c);
  return Buffer.concat(await Array.fromAsync(found?.chunks ?? [])).toString();
}
