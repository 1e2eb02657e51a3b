import { array, integer, length, nullable, number, object, parse, pipe, string } from "valibot";

const entriesSchema = pipe(
  array(object({ Value: nullable(string()), ModifyIndex: pipe(number(), integer()) })),
  length(1),
);
const keysSchema = array(string());

/** Of `GET /v1/kv/<key>`; an empty value is null there. */
export function readEntry(json: unknown): { readonly value: Uint8Array; readonly modifyIndex: number } {
  const [entry] = parse(entriesSchema, json);
  return { value: Buffer.from(entry?.Value ?? "", "base64"), modifyIndex: entry?.ModifyIndex ?? 0 };
}

/** Of `GET /v1/kv/<prefix>?keys`. */
export function readKeys(json: unknown): string[] {
  return parse(keysSchema, json);
}

/** Of `PUT` and `DELETE /v1/kv/<key>?cas=`. */
export function readWon(text: string): boolean | null {
  const said = text.trim();
  return said === "true" ? true : said === "false" ? false : null;
}

/** For `PUT /v1/txn`. */
export function deletions(keys: readonly string[]): string {
  return JSON.stringify(keys.map((Key) => ({ KV: { Verb: "delete", Key } })));
}
