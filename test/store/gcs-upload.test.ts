import { describe, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chunkBytes } from "../../src/store/gcs/upload.ts";
import { SkippingClock } from "../support/clock.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { c, digestOf } from "./contract-support.ts";
import { gcsStore, storeDeps } from "./gcs-fixture.ts";
import { GcsService } from "./gcs-service.ts";

const sizeBytes = 2 * chunkBytes + 1000;
const ranges = [
  `PUT bytes 0-${chunkBytes - 1}/${sizeBytes}`,
  `PUT bytes ${chunkBytes}-${2 * chunkBytes - 1}/${sizeBytes}`,
  `PUT bytes ${2 * chunkBytes}-${sizeBytes - 1}/${sizeBytes}`,
] as const;
const question = `PUT bytes */${sizeBytes}`;
const sessions = /upload_id=/;

async function setUp() {
  const service = await GcsService.start();
  const dir = tempDir();
  const content = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 < sizeBytes; at += 4096) content.writeUInt32BE(at, at);
  const path = join(dir.path, "file");
  writeFileSync(path, content);
  const clock = new SkippingClock();
  const store = gcsStore({ endpoint: service.host.origin, prefix: "p" }, storeDeps(clock));
  return {
    service,
    store,
    clock,
    content,
    file: { path, digest: digestOf(content) },
    async [Symbol.asyncDispose]() {
      dir[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

describe("a large file", () => {
  test("goes in chunks, with its digests, and is one object", async () => {
    await using it = await setUp();
    await it.store.putFile("large", it.file, c);
    expect(it.service.chunks).toEqual([...ranges]);
    expect(it.service.objects.get("p/large")?.bytes.equals(it.content)).toBe(true);
    expect(await it.store.head("large", c)).toMatchObject({ digest: it.file.digest, sizeBytes });
    const md5 = new Bun.CryptoHasher("md5").update(it.content).digest("base64");
    const hashes = it.service.host.requests.map(({ headers }) => headers.get("x-goog-hash"));
    expect(hashes.filter((hash) => hash !== null)).toEqual([`md5=${md5}`]);
  });

  test("goes on where the service stands after an outage", async () => {
    await using it = await setUp();
    // The second chunk arrives in part, and its answer does not.
    it.service.keeps = (chunk) => (it.service.chunks.length === 2 ? 256 * 1024 : chunk.length);
    it.service.failsAfterwards = () => it.service.chunks.length === 2;
    await it.store.putFile("large", it.file, c);
    expect(it.service.objects.get("p/large")?.bytes.equals(it.content)).toBe(true);
    const rest = `PUT bytes ${chunkBytes + 256 * 1024}-${sizeBytes - 1}/${sizeBytes}`;
    expect(it.service.chunks).toEqual([ranges[0], ranges[1], question, rest]);
    expect(it.clock.pausesMs).toEqual([500]);
  });

  test("of which the service keeps less than it was sent is sent again from there", async () => {
    await using it = await setUp();
    it.service.keeps = (chunk) => Math.min(chunk.length, 3 * 1024 * 1024);
    await it.store.putFile("large", it.file, c);
    expect(it.service.objects.get("p/large")?.bytes.equals(it.content)).toBe(true);
    expect(it.service.chunks[1]).toBe(`PUT bytes 3145728-${3145728 + chunkBytes - 1}/${sizeBytes}`);
  });

  test("whose last answer is lost is not sent twice", async () => {
    await using it = await setUp();
    it.service.failsAfterwards = () => it.service.chunks.length === 3;
    await it.store.putFile("large", it.file, c);
    expect(it.service.chunks).toEqual([...ranges, question]);
    expect(it.service.objects.get("p/large")?.bytes.equals(it.content)).toBe(true);
  });

  test("that never gets on is given up, and cancelled", async () => {
    await using it = await setUp();
    it.service.keeps = () => 0;
    const putting = it.store.putFile("large", it.file, c);
    await expect(putting).rejects.toMatchObject({ retryable: true });
    expect(it.service.chunks.length).toBeLessThan(20);
    expect(it.service.chunks.at(-1)).toBe("DELETE");
    expect(it.service.sessions.size).toBe(0);
  });

  test("whose session the service forgot is an error to try again, not a missing bucket", async () => {
    await using it = await setUp();
    it.service.host.fail({ reply: { status: 410 } }, { path: sessions, times: 2 });
    const putting = it.store.putFile("large", it.file, c);
    await expect(putting).rejects.toMatchObject({ code: "bad-answer", retryable: true });
    expect(it.service.objects.size).toBe(0);
  });

  test("that was changed since its digest was taken leaves no object and no session", async () => {
    await using it = await setUp();
    it.service.put("p/large", "old");
    const changed = { ...it.file, digest: digestOf("something else") };
    const putting = it.store.putFile("large", changed, c);
    await expect(putting).rejects.toMatchObject({
      code: "filesystem",
      message: expect.stringContaining("not the file it was"),
    });
    expect(it.service.objects.get("p/large")?.bytes.toString()).toBe("old");
    expect(it.service.sessions.size).toBe(0);
  });

  test("that grew meanwhile is stored as it was", async () => {
    await using it = await setUp();
    const started = until("a chunk", () => it.service.chunks.length === 1);
    const putting = it.store.putFile("large", it.file, c);
    await started;
    appendFileSync(it.file.path, "more");
    await putting;
    expect(it.service.objects.get("p/large")?.bytes.length).toBe(sizeBytes);
  });

  test.each([
    ["other bytes", (bytes: Buffer) => Buffer.from(bytes).fill(1, 5, 6)],
    ["fewer bytes", (bytes: Buffer) => bytes.subarray(1)],
  ])("of which the service stores %s is taken away again", async (_, damage) => {
    await using it = await setUp();
    it.service.stores = damage;
    const putting = it.store.putFile("large", it.file, c);
    await expect(putting).rejects.toMatchObject({ code: "bad-answer", retryable: true });
    expect(it.service.objects.size).toBe(0);
  });

  test("whose upload is stopped is cancelled: no object, no session", async () => {
    await using it = await setUp();
    const stop = new AbortController();
    const reason = new Error("stop");
    it.service.host.fail({ hang: true }, { path: sessions });
    const putting = it.store.putFile("large", it.file, { signal: stop.signal });
    void until("a chunk", () => it.service.chunks.length > 0).then(() => stop.abort(reason));
    await expect(putting).rejects.toBe(reason);
    expect(it.service.chunks).toEqual([ranges[0], "DELETE"]);
    expect(it.service.sessions.size).toBe(0);
    expect(it.service.objects.size).toBe(0);
  });

  test("the session's address is in no error", async () => {
    await using it = await setUp();
    it.service.host.fail({ reply: { status: 400, body: "no" } }, { path: sessions });
    const error: unknown = await it.store.putFile("large", it.file, c).catch((cause: unknown) => cause);
    expect(Bun.inspect(error)).not.toContain("upload_id");
    expect(error).toMatchObject({ code: "http-status", retryable: false });
  });
});
