import {
  integer,
  minValue,
  null as nothing,
  number,
  object,
  parse,
  pipe,
  regex,
  string,
  union,
} from "valibot";
import type { Digest } from "../../release/release.ts";
import { type ChunkSet, chunkIdPattern, headName } from "./names.ts";

/** What a key's one value says: the entry itself, or where its bytes are. */
export interface Head {
  readonly key: string;
  readonly sizeBytes: number;
  readonly digest: Digest;
  readonly writtenAt: Date;
  readonly content: { readonly kind: "inline"; readonly body: Uint8Array } | Chunked;
}

export interface Chunked {
  readonly kind: "chunked";
  readonly chunks: ChunkSet;
}

const count = pipe(number(), integer(), minValue(0));
const positive = pipe(number(), integer(), minValue(1));
const schema = object({
  key: string(),
  sizeBytes: count,
  digest: pipe(string(), regex(/^sha256:[0-9a-f]{64}$/)),
  writtenAt: count,
  chunks: union([
    nothing(),
    object({ id: pipe(string(), regex(chunkIdPattern)), chunkBytes: positive, count: positive }),
  ]),
});

/** One line of JSON, then, if it is inline, the entry's bytes. */
export function encodeHead(head: Head): Uint8Array {
  const { key, sizeBytes, digest, content } = head;
  const chunks = content.kind === "chunked" ? content.chunks : null;
  const line = JSON.stringify({ key, sizeBytes, digest, writtenAt: head.writtenAt.getTime(), chunks });
  const body = content.kind === "inline" ? content.body : new Uint8Array();
  return Buffer.concat([Buffer.from(`${line}\n`), body]);
}

/** null: it is none, or not the one of this name. */
export function decodeHead(name: string, value: Uint8Array): Head | null {
  const end = value.indexOf(0x0a);
  if (end === -1) return null;
  try {
    const line = parse(schema, JSON.parse(Buffer.from(value.subarray(0, end)).toString()));
    const { key, sizeBytes, chunks } = line;
    const body = value.subarray(end + 1);
    const digest: Digest = `sha256:${line.digest.slice("sha256:".length)}`;
    const whole = chunks === null ? digestOf(body) === digest : body.length === 0;
    const size = chunks === null ? body.length : chunks.count * chunks.chunkBytes;
    const fits = size >= sizeBytes && size - sizeBytes < (chunks?.chunkBytes ?? 1);
    if (!whole || !fits || headName(key) !== name) return null;
    return {
      key,
      sizeBytes,
      digest,
      writtenAt: new Date(line.writtenAt),
      content: chunks === null ? { kind: "inline", body } : { kind: "chunked", chunks },
    };
  } catch {
    return null; // Neither JSON nor of this shape: damaged either way.
  }
}

/** How many bytes a chunk must have. */
export function chunkLength(
  { chunkBytes, count: chunks }: ChunkSet,
  sizeBytes: number,
  index: number,
): number {
  return index < chunks - 1 ? chunkBytes : sizeBytes - chunkBytes * (chunks - 1);
}

export function digestOf(body: Uint8Array): Digest {
  return `sha256:${Bun.SHA256.hash(body, "hex")}`;
}
