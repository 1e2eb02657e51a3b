import type { ObjectEntry, ObjectStore, StoredObject, Version } from "../../src/store/store.ts";

export const c = { signal: new AbortController().signal };
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Keys that a URL, a shell, a signature or a file system might trip over. */
export const awkwardKeys: readonly string[] = [
  "plain",
  "v1.2.3--app_linux_amd64.tar.gz",
  "v1.2.3+blue/app.tar.gz",
  "with space/and another",
  "a/ /b",
  "100%/50%25",
  "%2E%2E/%2F",
  "%2Ehidden/%252E",
  "ünï-☃/\u{1f680}.txt",
  "hash#mark/question?mark",
  "x=1&y=2;z",
  `single'double"quote`,
  "(brackets)[and]{braces}",
  "star*bang!tilde~at@comma,dollar$",
  "less<more>colon:pipe|caret^back`tick",
  ".hidden",
  "dir/.hidden/file",
  ".dir/..two/...three",
  "trailing.",
  "-dash/--",
  "k".repeat(150),
  `${"deep/".repeat(20)}file`,
];

/** An unconditional put, or one whose condition must hold. */
export async function put(
  store: ObjectStore,
  key: string,
  body: string | Uint8Array,
  condition: { readonly ifVersion?: Version | null } = {},
): Promise<Version> {
  const version = await store.put(key, typeof body === "string" ? bytes(body) : body, condition, c);
  if (version === null) throw new Error(`${key} was not written`);
  return version;
}

/** `count` at a time: a service under test is no load test. */
export async function putAll(store: ObjectStore, keys: readonly string[], count = 32): Promise<void> {
  const rest = [...keys];
  const worker = async () => {
    for (let key = rest.pop(); key !== undefined; key = rest.pop()) await put(store, key, "x");
  };
  await Promise.all(Array.from({ length: Math.min(count, keys.length) }, worker));
}

export async function get(
  store: ObjectStore,
  key: string,
  from: Parameters<ObjectStore["get"]>[1] = null,
): Promise<StoredObject> {
  const found = await store.get(key, from, c);
  if (found === null) throw new Error(`${key} is not there`);
  return found;
}

export async function textOf({ chunks }: StoredObject): Promise<string> {
  return Buffer.concat(await Array.fromAsync(chunks)).toString();
}

export async function read(store: ObjectStore, key: string): Promise<string | null> {
  const found = await store.get(key, null, c);
  return found === null ? null : textOf(found);
}

export async function list(store: ObjectStore, prefix = "", delimiter?: string): Promise<ObjectEntry[]> {
  return Array.fromAsync(store.list(prefix, delimiter === undefined ? {} : { delimiter }, c));
}

/** `key` of an object, `key…` of a prefix. */
export async function names(store: ObjectStore, prefix = "", delimiter?: string): Promise<string[]> {
  const entries = await list(store, prefix, delimiter);
  return entries.map(({ kind, key }) => (kind === "prefix" ? `${key}…` : key));
}

/** As services order keys: by the bytes of their UTF-8. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function digestOf(content: Uint8Array | string): `sha256:${string}` {
  return `sha256:${new Bun.CryptoHasher("sha256").update(content).digest("hex")}`;
}

/** A signal that is already aborted, and the reason calls must reject with. */
export function aborted(): { signal: AbortSignal; reason: Error } {
  const reason = new Error("stop");
  const stop = new AbortController();
  stop.abort(reason);
  return { signal: stop.signal, reason };
}
