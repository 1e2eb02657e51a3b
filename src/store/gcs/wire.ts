import type { BaseIssue, BaseSchema } from "valibot";
import {
  array,
  check,
  getDotPath,
  type InferOutput,
  nullish,
  object,
  pipe,
  safeParse,
  string,
} from "valibot";
import { DewyError } from "../../errors.ts";
import type { Digest } from "../../release/release.ts";
import type { StoredInfo } from "../store.ts";

/** https://cloud.google.com/storage/docs/json_api/v1/objects#resource; only what is used. Integers are strings. */
const objectSchema = object({
  name: string(),
  generation: pipe(string(), check(isInteger, "is no integer")),
  size: pipe(string(), check(isInteger, "is no integer")),
  updated: pipe(
    string(),
    check((time) => !Number.isNaN(Date.parse(time)), "is no time"),
  ),
  /** Base64; composite objects have none. */
  md5Hash: nullish(string()),
  contentEncoding: nullish(string()),
  metadata: nullish(object({ sha256: nullish(string()) })),
});

/** What a list is asked for: the rest would be most of its bytes. */
export const listFields = "nextPageToken,prefixes,items(name,generation,size,updated)";

const pageSchema = object({
  items: nullish(array(objectSchema)),
  prefixes: nullish(array(string())),
  nextPageToken: nullish(string()),
});

export type WireObject = InferOutput<typeof objectSchema>;
export type WirePage = InferOutput<typeof pageSchema>;

export function readObject(json: unknown, doing: string): WireObject {
  return read(objectSchema, json, doing);
}

export function readPage(json: unknown, doing: string): WirePage {
  return read(pageSchema, json, doing);
}

export function storedInfo(key: string, object: WireObject): StoredInfo {
  return { ...objectInfo(key, object), digest: digestOf(object) };
}

export function objectInfo(key: string, { size, generation, updated }: WireObject) {
  return { key, sizeBytes: Number(size), version: generation, updatedAt: new Date(updated) };
}

/** The custom metadata `sha256`, hexadecimal, which dewy's uploads have. */
function digestOf({ metadata }: WireObject): Digest | null {
  const hex = metadata?.sha256?.toLowerCase();
  return hex !== undefined && /^[0-9a-f]{64}$/.test(hex) ? `sha256:${hex}` : null;
}

function isInteger(text: string): boolean {
  return /^\d{1,19}$/.test(text);
}

function read<T>(schema: BaseSchema<unknown, T, BaseIssue<unknown>>, json: unknown, doing: string): T {
  const result = safeParse(schema, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = getDotPath(issue) ?? "answer";
  throw new DewyError("bad-answer", `${doing}: the service's JSON has another shape (${where})`, {
    hint: "check endpoint= and the proxy: this may be no Google Cloud Storage",
  });
}
