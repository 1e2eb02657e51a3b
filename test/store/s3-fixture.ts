import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Governor } from "../../src/http/governor.ts";
import { silentLog } from "../../src/log.ts";
import { openS3Store } from "../../src/store/s3/store.ts";
import { readS3Url, s3Params } from "../../src/store/s3/url.ts";
import type { ObjectStore, StoreDeps } from "../../src/store/store.ts";
import { readQuery } from "../../src/util/query.ts";
import { systemClock } from "../../src/util/time.ts";
import { type Minio, sharedMinio } from "../support/minio.ts";
import type { StoreFixture } from "./contract.ts";

export function parse(text: string) {
  const url = new URL(text);
  return readS3Url(url, readQuery(url, s3Params));
}

export function depsOf(env: StoreDeps["env"], deps: Partial<StoreDeps> = {}): StoreDeps {
  const { clock = systemClock, log = silentLog } = deps;
  return { clock, log, governor: new Governor({ clock, log }), ...deps, env };
}

/** Credentials for a front or a server that looks at none. */
export const anyEnv = { AWS_ACCESS_KEY_ID: "AKIAEXAMPLEKEYID", AWS_SECRET_ACCESS_KEY: "example/secret+key" };

export function openAt(
  text: string,
  env: StoreDeps["env"] = anyEnv,
  deps: Partial<StoreDeps> = {},
): ObjectStore {
  return openS3Store(parse(text), depsOf(env, deps));
}

let buckets = 0;

/** A fresh bucket of the shared MinIO. */
export async function freshBucket(minio?: Minio): Promise<{ minio: Minio; bucket: string }> {
  const server = minio ?? (await sharedMinio());
  const bucket = `test-${process.pid}-${++buckets}`;
  await server.createBucket(bucket);
  return { minio: server, bucket };
}

export function urlOf(minio: Minio, bucket: string, prefix = ""): string {
  return `s3://${minio.region}/${bucket}${prefix}?endpoint=${encodeURIComponent(minio.endpoint)}`;
}

/** The library itself, as anybody else would use the bucket. */
export function clientOf(minio: Minio): S3Client {
  const { endpoint, region, credentials } = minio;
  return new S3Client({ endpoint, region, credentials, forcePathStyle: true });
}

let contractBucket: Promise<{ minio: Minio; bucket: string }> | undefined;
let prefixes = 0;

/** A prefix of its own in one bucket of the shared MinIO. */
export async function openFixture(): Promise<StoreFixture> {
  contractBucket ??= freshBucket();
  const { minio, bucket } = await contractBucket;
  const prefix = `/root/p ${++prefixes}%`;
  const store = openAt(urlOf(minio, bucket, encodeURI(prefix)), minio.env);
  return {
    store,
    async corrupt(key) {
      const client = clientOf(minio);
      const c = { signal: AbortSignal.timeout(40_000) };
      const head = await store.head(key, c);
      await client.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: `${prefix.slice(1)}/${key}`,
          Body: new Uint8Array(head?.sizeBytes ?? 0).fill(0x21),
          Metadata: { sha256: head?.digest?.slice("sha256:".length) ?? "" },
        }),
      );
      client.destroy();
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** What s3-child.ts prints; it knows no more of our environment than it needs. */
export async function runChild(
  url: string,
  what: "look" | "work",
  env: Record<string, string>,
): Promise<unknown> {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/s3-child.ts`, url, what], {
    env: {
      PATH: process.env["PATH"],
      HOME: "/nonexistent",
      DEWY_TEST_CACHE: process.env["DEWY_TEST_CACHE"],
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return await new Response(child.stdout).json();
}
