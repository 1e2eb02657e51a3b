import { type FileHandle, open } from "node:fs/promises";
import { DewyError, toDewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import { readWhole } from "../../util/fs.ts";
import type { LocalFile } from "../store.ts";
import type { Bucket } from "./bucket.ts";
import { MultipartUpload } from "./multipart.ts";
import { putObject } from "./write.ts";

const mib = 1024 * 1024;
const leastPartBytes = 8 * mib;
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const maxParts = 10_000;

/** Streams a file through one buffer; small ones in one request, larger ones part by part. */
export async function uploadFile(bucket: Bucket, key: string, file: LocalFile, c: Call): Promise<void> {
  c.signal.throwIfAborted();
  bucket.nameOf(key);
  const doing = `upload ${file.path}`;
  try {
    await using handle = await open(file.path, "r");
    const { size } = await handle.stat();
    const buffer = Buffer.allocUnsafeSlow(Math.min(size, partBytes(size)));
    const source = { handle, size, buffer, file, doing };
    if (size <= buffer.length) await uploadWhole(bucket, key, source, c);
    else await uploadParts(bucket, key, source, c);
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, doing);
  }
}

/** Grows with the file, as the number of parts is limited. */
export function partBytes(sizeBytes: number): number {
  return Math.max(leastPartBytes, Math.ceil(sizeBytes / maxParts / mib) * mib);
}

interface Source {
  readonly handle: FileHandle;
  readonly size: number;
  /** Reused for every part. */
  readonly buffer: Buffer;
  readonly file: LocalFile;
  readonly doing: string;
}

async function uploadWhole(bucket: Bucket, key: string, source: Source, c: Call): Promise<void> {
  const body = await readPart(source, 0);
  checkDigest(source, Bun.SHA256.hash(body, "hex"));
  await putObject(bucket, key, body, {}, c);
}

async function uploadParts(bucket: Bucket, key: string, source: Source, c: Call): Promise<void> {
  const hasher = new Bun.CryptoHasher("sha256");
  const hex = source.file.digest.slice("sha256:".length);
  await using upload = await MultipartUpload.create(bucket, key, { sha256: hex }, c);
  for (let at = 0; at < source.size; at += source.buffer.length) {
    const part = await readPart(source, at);
    hasher.update(part);
    await upload.put(part, c);
  }
  // Before it can be seen: readers would refuse it for ever.
  checkDigest(source, hasher.digest("hex"));
  await upload.complete(c);
}

async function readPart({ handle, size, buffer, doing }: Source, at: number): Promise<Buffer> {
  const part = buffer.subarray(0, Math.min(buffer.length, size - at));
  if (!(await readWhole(handle, part, at))) throw changed(doing);
  return part;
}

function checkDigest({ file, doing }: Source, hex: string): void {
  if (file.digest !== `sha256:${hex}`) throw changed(doing);
}

function changed(doing: string): DewyError {
  return new DewyError("filesystem", `${doing}: the file is not the one it was said to be`, {
    hint: "somebody writes to the file; dewy tries again by itself",
  });
}
