import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import type { ObjectStore } from "../../src/store/store.ts";
import type { Reply } from "../support/http-host.ts";
import type { Minio } from "../support/minio.ts";
import { recordingLog } from "../support/recording.ts";
import { type Interference, type S3Front, startS3Front } from "../support/s3-front.ts";
import { tempDir } from "../support/temp-dir.ts";
import { clientOf, freshBucket, openAt } from "./s3-fixture.ts";

export const c = { signal: new AbortController().signal };
export const mib = 1024 * 1024;
export const broken: Reply = { status: 500, body: "" };
/** Done, and nobody hears of it. */
export const lostAnswer = async (forward: () => Promise<Reply>) => {
  await forward();
  return broken;
};

export interface Scene extends AsyncDisposable {
  readonly minio: Minio;
  readonly bucket: string;
  readonly front: S3Front;
  readonly store: ObjectStore;
  readonly log: ReturnType<typeof recordingLog>;
  /** `METHOD path?query` of what was asked. */
  asked(pattern: RegExp): string[];
}

/** A bucket of its own behind a front that `interfere` may have answer in its place. */
export async function scene(interfere?: Interference, server?: Minio): Promise<Scene> {
  const { minio, bucket } = await freshBucket(server);
  const front = await startS3Front(minio, interfere);
  const log = recordingLog();
  const store = openAt(`s3://us-east-1/${bucket}/app?endpoint=${front.endpoint}`, minio.env, { log });
  return {
    minio,
    bucket,
    front,
    store,
    log,
    asked: (pattern) =>
      front.host.requests.map(({ method, path }) => `${method} ${path}`).filter((line) => pattern.test(line)),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await front[Symbol.asyncDispose]();
    },
  };
}

/** Answers the first request that matches in this way. */
export function once(
  pattern: RegExp,
  answer: (forward: () => Promise<Reply>) => Promise<Reply> | Reply,
): Interference {
  let done = false;
  return ({ method, path }, forward) => {
    if (done || !pattern.test(`${method} ${path}`)) return undefined;
    done = true;
    return answer(forward);
  };
}

export function largeFile(sizeBytes = 20 * mib) {
  const dir = tempDir();
  const path = join(dir.path, "file");
  const content = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 4096) content.writeUInt32BE(at, at);
  writeFileSync(path, content);
  const digest = `sha256:${Bun.SHA256.hash(content, "hex")}` as const;
  return {
    dir,
    out: join(dir.path, "out"),
    path,
    digest,
    content,
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

export async function unfinishedUploads({ minio, bucket }: Scene): Promise<number> {
  const client = clientOf(minio);
  // MinIO lists them by their exact key only.
  const { Uploads = [] } = await client.send(
    new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: "app/key" }),
  );
  client.destroy();
  return Uploads.length;
}

export function digestOf(content: string | Uint8Array) {
  return `sha256:${Bun.SHA256.hash(content, "hex")}` as const;
}
