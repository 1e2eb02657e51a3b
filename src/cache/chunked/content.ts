import type { FileHandle } from "node:fs/promises";
import { DewyError, toDewyError } from "../../errors.ts";
import type { Digest } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { readWhole } from "../../util/fs.ts";
import type { KeyValue } from "../key-value.ts";
import { chunkLength, type Head } from "./head.ts";
import { type ChunkSet, chunkName } from "./names.ts";

/** Where an entry's bytes go. */
export interface Sink {
  /** Before the first byte, each time it begins anew. */
  begin(sizeBytes: number): Promise<void>;
  write(bytes: Uint8Array): Promise<void>;
  /** Of all that was written since it began; nothing may follow. */
  digest(): Digest | null;
}

/** Copies an entry's bytes, a chunk at a time; answers what is wrong with them, or null. */
export async function copyContent(kv: KeyValue, head: Head, sink: Sink, c: Call): Promise<string | null> {
  await sink.begin(head.sizeBytes);
  // Its digest was checked together with the head.
  if (head.content.kind === "inline") {
    await sink.write(head.content.body);
    return null;
  }
  const { chunks } = head.content;
  for (let index = 0; index < chunks.count; index++) {
    const wanted = chunkLength(chunks, head.sizeBytes, index);
    const chunk = await kv.get(chunkName(chunks.id, index), "chunk", c);
    const which = `chunk ${index + 1} of ${chunks.count}`;
    if (chunk === null) return `${which} is missing`;
    if (chunk.body.length !== wanted) return `${which} has ${chunk.body.length} bytes instead of ${wanted}`;
    await sink.write(chunk.body);
  }
  return sink.digest() === head.digest ? null : "its digest is another one";
}

export interface UploadSource {
  readonly path: string;
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readonly digest: Digest;
}

/** Writes a file's chunks one after the other, through one buffer. */
export async function uploadChunks(
  kv: KeyValue,
  file: UploadSource,
  chunks: ChunkSet,
  c: Call,
): Promise<void> {
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.alloc(chunks.chunkBytes);
  for (let index = 0; index < chunks.count; index++) {
    const length = chunkLength(chunks, file.sizeBytes, index);
    const bytes = await readExactly(file, buffer.subarray(0, length), index * chunks.chunkBytes);
    hasher.update(bytes);
    await kv.set(chunkName(chunks.id, index), bytes, { kind: "chunk" }, c);
  }
  if (`sha256:${hasher.digest("hex")}` !== file.digest) throw changed(file.path);
}

/** Fills `into`; a file that ends before is not the one it was. */
export async function readExactly(
  { handle, path }: Pick<UploadSource, "handle" | "path">,
  into: Uint8Array,
  position: number,
): Promise<Uint8Array> {
  try {
    if (!(await readWhole(handle, into, position))) throw changed(path);
    return into;
  } catch (error) {
    throw toDewyError(error, `read ${path}`);
  }
}

export function changed(path: string): DewyError {
  return new DewyError("filesystem", `${path} is not what it was when its digest was taken`);
}
