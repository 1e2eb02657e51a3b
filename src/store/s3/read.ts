import {
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
} from "@aws-sdk/client-s3";
import type { Digest } from "../../release/release.ts";
import type { ResumePoint } from "../../release/source.ts";
import type { Call } from "../../util/async.ts";
import type { StoredInfo, StoredObject } from "../store.ts";
import { refusalOf } from "./answer.ts";
import type { Bucket } from "./bucket.ts";
import { openStream } from "./object-stream.ts";

export async function headObject(bucket: Bucket, key: string, c: Call): Promise<StoredInfo | null> {
  const command = new HeadObjectCommand({
    Bucket: bucket.name,
    Key: bucket.nameOf(key),
    ChecksumMode: "ENABLED",
  });
  const output = await bucket.run(
    `look at ${key}`,
    (abortSignal) => bucket.client.send(command, { abortSignal }).catch(nullIfUnexplained),
    c,
  );
  // The same question by GET says why.
  return output === null ? peek(bucket, key, c) : infoOf(bucket, key, output, output.ContentLength);
}

/** A refused HEAD has no body: a missing key, a missing bucket and a wrong region look alike. */
function nullIfUnexplained(error: unknown): null {
  const refusal = refusalOf(error);
  if (refusal !== null && refusal.code === null && refusal.status >= 300 && refusal.status < 500) return null;
  throw error;
}

async function peek(bucket: Bucket, key: string, c: Call): Promise<StoredInfo | null> {
  const object = await getObject(bucket, key, null, c);
  await object?.chunks[Symbol.asyncIterator]().return?.();
  return object;
}

/** From `from` on while the content is the one it names, else from the beginning. */
export async function getObject(
  bucket: Bucket,
  key: string,
  from: ResumePoint | null,
  c: Call,
): Promise<StoredObject | null> {
  if (from !== null && from.offset > 0) {
    const rest = await openRest(bucket, key, from, c);
    if (rest !== "changed") return rest;
  }
  const answer = await openStream(bucket, key, {}, c);
  if (answer.kind === "missing") return null;
  if (answer.kind !== "object") throw bucket.notS3(`get ${key}`, "about a condition that nobody made");
  const { output, chunks } = answer;
  return ending(chunks, () => ({ ...infoOf(bucket, key, output, output.ContentLength), offset: 0, chunks }));
}

async function openRest(bucket: Bucket, key: string, from: ResumePoint, c: Call) {
  const { offset, validator } = from;
  const condition = { Range: `bytes=${offset}-`, IfMatch: validator };
  const answer = await openStream(bucket, key, condition, c);
  if (answer.kind === "missing") return null;
  if (answer.kind === "changed") return "changed";
  if (answer.kind === "beyond") return nothingLeft(bucket, key, from, c);
  const { output, chunks } = answer;
  const total = new RegExp(`^bytes ${offset}-\\d+/(\\d+)$`).exec(output.ContentRange ?? "")?.[1];
  // A service that ignores ranges or conditions answers other bytes than those that were asked for.
  if (total === undefined || output.ETag !== validator) {
    await chunks[Symbol.asyncIterator]().return?.();
    return "changed";
  }
  return ending(chunks, () => ({ ...infoOf(bucket, key, output, Number(total)), offset, chunks }));
}

/** All of it was read already, or it is another object by now. */
async function nothingLeft(bucket: Bucket, key: string, { offset, validator }: ResumePoint, c: Call) {
  const info = await headObject(bucket, key, c);
  if (info === null) return null;
  if (info.version !== validator || info.sizeBytes !== offset) return "changed";
  return { ...info, offset, chunks: (async function* (): AsyncGenerator<Uint8Array> {})() };
}

/** Ends the connection when `make` throws. */
async function ending<T>(chunks: AsyncIterable<Uint8Array>, make: () => T): Promise<T> {
  try {
    return make();
  } catch (error) {
    await chunks[Symbol.asyncIterator]().return?.();
    throw error;
  }
}

function infoOf(
  bucket: Bucket,
  key: string,
  output: GetObjectCommandOutput | HeadObjectCommandOutput,
  sizeBytes: number | undefined,
): StoredInfo {
  const { ETag: version, LastModified: updatedAt } = output;
  if (version === undefined || updatedAt === undefined || sizeBytes === undefined) {
    throw bucket.notS3(`get ${key}`, "without ETag, Last-Modified or Content-Length");
  }
  return { key, sizeBytes, version, updatedAt, digest: digestOf(output) };
}

/** Ours, or what the service computed of the whole content; the checksum of checksums of parts is none. */
function digestOf(output: GetObjectCommandOutput | HeadObjectCommandOutput): Digest | null {
  const ours = output.Metadata?.["sha256"]?.toLowerCase();
  if (ours !== undefined && /^[0-9a-f]{64}$/.test(ours)) return `sha256:${ours}`;
  const theirs = output.ChecksumType === "COMPOSITE" ? undefined : output.ChecksumSHA256;
  if (theirs === undefined || !/^[A-Za-z0-9+/]{43}=$/.test(theirs)) return null;
  return `sha256:${Buffer.from(theirs, "base64").toString("hex")}`;
}
