import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { failureOf } from "../http/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import type { Reply } from "../support/http-host.ts";
import { startMinio } from "../support/minio.ts";
import { startS3Front } from "../support/s3-front.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { clientOf, freshBucket, openAt } from "./s3-fixture.ts";
import { c, digestOf, largeFile, mib, type Scene, scene } from "./s3-scene.ts";

describe("a download", () => {
  test("goes on after a cut where it stopped", async () => {
    await using it = await scene();
    using file = largeFile();
    await it.store.putFile("key", file, c);
    it.front.host.fail({ cutAfter: 9 * mib }, { path: /app\/key/ });
    expect(await it.store.fetchFile("key", file.out, c)).toBe(file.digest);
    const gets = it.front.host.requests.filter(({ method }) => method === "GET");
    expect(gets).toHaveLength(2);
    expect(gets[1]?.headers.get("range")).toMatch(/^bytes=\d{5,}-$/);
    expect(gets[1]?.headers.get("if-match")).toMatch(/^"[\w-]+"$/);
  });

  test("arrives although the server falls and comes back in the middle of it", async () => {
    await using minio = await startMinio();
    await using it = await scene(undefined, minio);
    using file = largeFile();
    await it.store.putFile("key", file, c);
    it.front.host.fail({ cutAfter: 9 * mib }, { path: /app\/key/ });
    it.front.host.fail({ cutAfter: 0 }, { path: /app\/key/ });
    const fetching = it.store.fetchFile("key", file.out, c);
    await until("the first half is here", () => it.asked(/^GET .*key/).length === 2);
    await minio.restart();
    expect(await fetching).toBe(file.digest);
  }, 60_000);

  test.each<[string, (reply: Reply) => Reply]>([
    ["ranges", (reply) => ({ ...reply, status: 200 })],
    ["conditions", (reply) => ({ ...reply, headers: { ...reply.headers, etag: '"another"' } })],
  ])("from a service that ignores %s begins again", async (what, change) => {
    await using it = await scene(async ({ method, headers }, forward) => {
      if (method !== "GET" || headers.get("range") === null) return undefined;
      const reply = await forward();
      return change(
        what === "ranges" ? { ...reply, headers: { ...reply.headers, "content-range": "" } } : reply,
      );
    });
    const version = await it.store.put("key", Buffer.from("0123456789"), {}, c);
    const got = await it.store.get("key", { offset: 4, validator: version ?? "" }, c);
    expect(got?.offset).toBe(0);
    expect(Buffer.concat(await Array.fromAsync(got?.chunks ?? [])).toString()).toBe("0123456789");
  });

  test("that is silent for thirty seconds is a timeout; a reader's own pauses are not", async () => {
    const { minio, bucket } = await freshBucket();
    await using front = await startS3Front(minio);
    const clock = new FakeClock();
    await using store = openAt(`s3://us-east-1/${bucket}?endpoint=${front.endpoint}`, minio.env, { clock });
    await store.put("key", Buffer.alloc(2 * mib), {}, c);
    front.host.fail({ hangAfter: mib }, { path: /key/ });
    const chunks = (await store.get("key", null, c))?.chunks[Symbol.asyncIterator]();
    let read = (await chunks?.next())?.value?.length ?? 0;
    await clock.advance(60_000);
    while (read < mib) read += (await chunks?.next())?.value?.length ?? 0;
    const next = failureOf(chunks?.next() ?? Promise.resolve());
    await clock.advance(60_000);
    expect(await next).toMatchObject({ code: "network-timeout", retryable: true });
    expect(clock.sleeping).toBe(0);
  });
});

test("bytes that are stored compressed come as they are stored", async () => {
  await using it = await scene();
  using dir = tempDir();
  const stored = Bun.gzipSync(Buffer.alloc(100_000, "text"));
  const client = clientOf(it.minio);
  const object = { Bucket: it.bucket, Key: "app/key", Body: stored, ContentEncoding: "gzip" };
  await client.send(new PutObjectCommand(object));
  client.destroy();
  expect(await it.store.fetchFile("key", join(dir.path, "out"), c)).toBe(digestOf(stored));
});

describe("a digest", () => {
  async function foreign(it: Scene, extra: object): Promise<void> {
    const client = clientOf(it.minio);
    await client.send(new PutObjectCommand({ Bucket: it.bucket, Key: "app/key", Body: "content", ...extra }));
    client.destroy();
  }

  test.each<[string, object, string | null]>([
    ["the service's SHA-256 of the content", { ChecksumAlgorithm: "SHA256" }, "content"],
    ["the writer's word", { Metadata: { sha256: digestOf("other").slice(7).toUpperCase() } }, "other"],
    ["nobody's word, where there is another checksum", { ChecksumAlgorithm: "CRC32" }, null],
    [
      "nobody's word, where the service says that its own is of the parts",
      { Metadata: { composite: "yes" }, ChecksumAlgorithm: "SHA256" },
      null,
    ],
    ["nobody's word, where the writer's is none", { Metadata: { sha256: "abc" } }, null],
  ])("is %s", async (_, extra, content) => {
    await using it = await scene(async ({ method }, forward) => {
      const reply = await forward();
      const composite = method !== "PUT" && reply.headers?.["x-amz-meta-composite"] !== undefined;
      return composite
        ? { ...reply, headers: { ...reply.headers, "x-amz-checksum-type": "COMPOSITE" } }
        : reply;
    });
    await foreign(it, extra);
    const digest = content === null ? null : digestOf(content);
    expect(await it.store.head("key", c)).toMatchObject({ digest });
    expect(await it.store.get("key", null, c)).toMatchObject({ digest });
  });

  test("is not the checksum of the checksums of an upload's parts", async () => {
    await using it = await scene();
    const client = clientOf(it.minio);
    const target = { Bucket: it.bucket, Key: "app/key" };
    const { UploadId } = await client.send(
      new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE" }),
    );
    const part = {
      ...target,
      UploadId,
      PartNumber: 1,
      Body: Buffer.alloc(mib),
      ChecksumAlgorithm: "SHA256",
    } as const;
    const { ETag, ChecksumSHA256 } = await client.send(new UploadPartCommand(part));
    const Parts = [{ PartNumber: 1, ETag, ChecksumSHA256 }];
    await client.send(
      new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }),
    );
    client.destroy();
    expect(await it.store.head("key", c)).toMatchObject({ sizeBytes: mib, digest: null });
    expect(await it.store.get("key", null, c)).toMatchObject({ digest: null });
  });
});
