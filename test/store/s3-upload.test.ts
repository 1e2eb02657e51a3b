import { describe, expect, test } from "bun:test";
import { partBytes } from "../../src/store/s3/upload.ts";
import { failureOf } from "../http/fixture.ts";
import type { Reply } from "../support/http-host.ts";
import { startMinio } from "../support/minio.ts";
import { broken, c, largeFile, lostAnswer, mib, once, scene, unfinishedUploads } from "./s3-scene.ts";

describe("a large file", () => {
  test("goes up in parts of 8 MiB and comes down in one piece", async () => {
    await using it = await scene();
    using file = largeFile();
    await it.store.putFile("key", file, c);
    expect(it.asked(/^PUT .*partNumber/)).toHaveLength(3);
    expect(it.asked(/^POST /)).toHaveLength(2);
    expect(await it.store.fetchFile("key", file.out, c)).toBe(file.digest);
    expect(await unfinishedUploads(it)).toBe(0);
  });

  test("is sent as plain signed bytes, which every service understands", async () => {
    await using it = await scene();
    using file = largeFile();
    await it.store.putFile("key", file, c);
    for (const { headers } of it.front.host.requests) {
      const names = [...headers.keys()].filter((name) =>
        /^(expect|te|trailer|x-amz-(trailer|checksum.*|sdk-checksum.*))$/.test(name),
      );
      expect(names).toEqual([]);
      expect(headers.get("transfer-encoding") ?? headers.get("content-encoding")).toBeNull();
      expect(headers.get("x-amz-content-sha256")).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test.each<[number, number]>([
    [1, 8 * mib],
    [80_000 * mib, 8 * mib],
    [80_001 * mib, 9 * mib],
    [5 * 1024 * 1024 * mib, 525 * mib],
  ])("of %i bytes has parts of %i, so that 10,000 are enough", (sizeBytes, part) => {
    expect(partBytes(sizeBytes)).toBe(part);
    expect(Math.ceil(sizeBytes / part)).toBeLessThanOrEqual(10_000);
  });

  test.each<[string, RegExp, (forward: () => Promise<Reply>) => Promise<Reply> | Reply]>([
    ["a part fails once", /partNumber=2/, () => broken],
    ["the answer to a part gets lost", /partNumber=2/, lostAnswer],
    ["the beginning fails once", /^POST .*uploads/, () => broken],
    ["the end fails once", /^POST .*uploadId/, () => broken],
    ["the answer to the end gets lost", /^POST .*uploadId/, lostAnswer],
    [
      "the end is told as a failure in a success",
      /^POST .*uploadId/,
      () => ({ status: 200, body: "<Error><Code>InternalError</Code><Message>x</Message></Error>" }),
    ],
  ])("arrives although %s", async (_, pattern, answer) => {
    await using it = await scene(once(pattern, answer));
    using file = largeFile();
    await it.store.putFile("key", file, c);
    expect(await it.store.fetchFile("key", file.out, c)).toBe(file.digest);
  });

  test("arrives although the server falls and comes back in the middle of it", async () => {
    await using minio = await startMinio();
    let back: Promise<void> | undefined;
    const fall = once(/partNumber=2/, async () => {
      await minio.stop();
      back = minio.restart();
      return broken;
    });
    await using it = await scene(fall, minio);
    using file = largeFile();
    await it.store.putFile("key", file, c);
    await back;
    expect(await it.store.fetchFile("key", file.out, c)).toBe(file.digest);
  }, 60_000);

  test("that can't be finished leaves no parts and what was there", async () => {
    const denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    await using it = await scene(({ path }) =>
      path.includes("partNumber=3") ? { status: 403, body: denied } : undefined,
    );
    using file = largeFile();
    await it.store.put("key", Buffer.from("old"), {}, c);
    await expect(it.store.putFile("key", file, c)).rejects.toMatchObject({ code: "unauthorized" });
    expect(it.asked(/^DELETE .*uploadId/)).toHaveLength(1);
    expect(await unfinishedUploads(it)).toBe(0);
    expect(await it.store.head("key", c)).toMatchObject({ sizeBytes: 3 });
    expect(it.log.records).toEqual([]);
  });

  test("that is stopped half-way leaves no parts", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    await using it = await scene(({ path }) => {
      if (path.includes("partNumber=2")) stop.abort(reason);
      return undefined;
    });
    using file = largeFile();
    await expect(it.store.putFile("key", file, stop)).rejects.toBe(reason);
    expect(it.asked(/^DELETE .*uploadId/)).toHaveLength(1);
    expect(await unfinishedUploads(it)).toBe(0);
    expect(await it.store.head("key", c)).toBeNull();
  });

  test("whose parts can't be taken back: one WARN says so", async () => {
    await using it = await scene(({ method, path }) => {
      if (path.includes("partNumber=2")) return { status: 400, body: "<Error><Code>Odd</Code></Error>" };
      return method === "DELETE" ? { status: 400, body: "<Error><Code>Odd</Code></Error>" } : undefined;
    });
    using file = largeFile();
    await expect(it.store.putFile("key", file, c)).rejects.toMatchObject({ code: "http-status" });
    expect(it.log.at("warn")).toEqual(["Parts of an unfinished upload are left in the bucket"]);
  });

  test.each([
    ["large", 20 * mib],
    ["small", 1000],
  ])("(%s) that is not what it was said to be is never seen", async (_, sizeBytes) => {
    await using it = await scene();
    using file = largeFile(sizeBytes);
    const digest = `sha256:${"0".repeat(64)}` as const;
    const error = await failureOf(it.store.putFile("key", { path: file.path, digest }, c));
    expect(error).toMatchObject({
      code: "filesystem",
      message: expect.stringContaining("not the one it was said"),
    });
    expect(await it.store.head("key", c)).toBeNull();
    expect(await unfinishedUploads(it)).toBe(0);
  });
});
