import { describe, expect, test } from "bun:test";
import type { ObjectStore } from "../../src/store/store.ts";
import { SkippingClock } from "../support/clock.ts";
import { sharedGcs } from "../support/gcs-server.ts";
import { HttpHost } from "../support/http-host.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { storeContract } from "./contract.ts";
import { c, digestOf, get, list, names, put, read, textOf } from "./contract-support.ts";
import { openGcsFixture } from "./gcs-contract-fixture.ts";
import { freshBucket, gcsStore, storeDeps } from "./gcs-fixture.ts";
import { GcsService, json } from "./gcs-service.ts";

storeContract("Google Cloud Storage", openGcsFixture);

type Operation = (store: ObjectStore) => Promise<unknown>;

const operations: readonly [string, Operation][] = [
  ["head", (store) => store.head("key", c)],
  ["get", (store) => store.get("key", null, c)],
  ["put", (store) => store.put("key", Buffer.from("x"), {}, c)],
  ["a conditional put", (store) => store.put("key", Buffer.from("x"), { ifVersion: null }, c)],
  ["list", (store) => list(store)],
  ["delete", (store) => store.delete("key", c)],
  ["putFile, small", (store) => putFile(store, 10)],
  ["putFile, large", (store) => putFile(store, 9_000_000)],
  ["fetchFile", (store) => fetchFile(store)],
];

async function putFile(store: ObjectStore, sizeBytes: number): Promise<void> {
  using dir = tempDir();
  const path = `${dir.path}/file`;
  const content = Buffer.alloc(sizeBytes);
  await Bun.write(path, content);
  await store.putFile("key", { path, digest: digestOf(content) }, c);
}

async function fetchFile(store: ObjectStore): Promise<unknown> {
  using dir = tempDir();
  return await store.fetchFile("key", `${dir.path}/file`, c);
}

describe("a bucket that does not exist", () => {
  test.each(operations)("%s says so", async (_, operation) => {
    const { endpoint } = await sharedGcs();
    await using store = gcsStore({ endpoint, bucket: "no-such-bucket" });
    await expect(operation(store)).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining("the bucket no-such-bucket does not exist"),
      hint: expect.stringContaining("gs:// URL"),
    });
  });
});

describe("a service in trouble", () => {
  test.each(operations)("%s of one that cannot be reached is an error to try again", async (_, operation) => {
    await using store = gcsStore({ endpoint: "http://127.0.0.1:1" }, storeDeps(new SkippingClock()));
    await expect(operation(store)).rejects.toMatchObject({ code: "network-unreachable", retryable: true });
  });

  test.each([
    ["a web page", { status: 200, headers: { "Content-Type": "text/html" }, body: "<html>welcome</html>" }],
    ["JSON of another kind", json(200, { welcome: true, items: [{ name: 5 }] })],
  ])("answers with %s: that is said, and nothing taken for content", async (_, reply) => {
    await using host = await HttpHost.start(() => reply);
    await using store = gcsStore({ endpoint: host.origin });
    for (const [name, operation] of operations.filter(([kind]) => !/delete|large/.test(kind))) {
      const error: unknown = await operation(store).catch((cause: unknown) => cause);
      expect([name, error]).toMatchObject([
        name,
        { code: "bad-answer", hint: expect.stringContaining("proxy") },
      ]);
    }
  });

  test("reads are tried again twice, writes never", async () => {
    await using host = await HttpHost.start(() => ({ status: 503 }));
    const asked = async (operation: Operation) => {
      host.requests.length = 0;
      await using store = gcsStore({ endpoint: host.origin }, storeDeps(new SkippingClock()));
      await expect(operation(store)).rejects.toMatchObject({ code: "http-status", retryable: true });
      return host.requests.length;
    };
    const counts: Record<string, number> = {};
    for (const [name, operation] of operations.slice(0, 6)) counts[name] = await asked(operation);
    expect(counts).toEqual({ head: 3, get: 3, put: 1, "a conditional put": 1, list: 3, delete: 1 });
  });

  test("a blip is not noticed", async () => {
    await using service = await GcsService.start();
    service.put("key", "content");
    await using store = gcsStore({ endpoint: service.host.origin }, storeDeps(new SkippingClock()));
    service.host.fail({ reply: { status: 502 } });
    expect(await read(store, "key")).toBe("content");
  });

  test("is left alone for as long as it asks, without a request", async () => {
    await using host = await HttpHost.start(() => ({ status: 429, headers: { "Retry-After": "30" } }));
    await using store = gcsStore({ endpoint: host.origin });
    await expect(store.head("key", c)).rejects.toMatchObject({ code: "rate-limited", retryAfterMs: 30_000 });
    await expect(store.put("key", Buffer.from("x"), {}, c)).rejects.toMatchObject({ code: "rate-limited" });
    expect(host.requests).toHaveLength(1);
  });

  test("that never answers is given up after 30 s", async () => {
    await using host = await HttpHost.start(() => ({ status: 200 }));
    const clock = new SkippingClock();
    await using store = gcsStore({ endpoint: host.origin }, storeDeps(clock));
    host.fail({ hang: true }, { times: 9 });
    const error = await passing(clock, store.head("key", c));
    expect(error).toMatchObject({ code: "network-timeout", retryable: true });
    expect(clock.monotonicMs()).toBeLessThan(60_000);
  });

  test("that falls silent in the middle of an object is given up after 30 s", async () => {
    await using service = await GcsService.start();
    service.put("key", "x".repeat(100_000));
    const clock = new SkippingClock();
    await using store = gcsStore({ endpoint: service.host.origin }, storeDeps(clock));
    service.host.fail({ hangAfter: 10 }, { path: /alt=media/ });
    const error = await passing(clock, textOf(await get(store, "key")));
    expect(error).toMatchObject({ code: "network-timeout", retryable: true });
    expect(clock.monotonicMs()).toBeLessThan(70_000);
  });
});

/** Lets time pass until `work` fails, and answers why. */
async function passing(clock: SkippingClock, work: Promise<unknown>): Promise<unknown> {
  let failure: unknown;
  work.catch((error: unknown) => {
    failure = error;
  });
  return until("the failure", async () => {
    await clock.advance(1000);
    return failure;
  });
}

describe("reading", () => {
  test("bytes, size and version are of one generation, whatever is written meanwhile", async () => {
    await using service = await GcsService.start();
    service.put("key", "old");
    await using store = gcsStore({ endpoint: service.host.origin }, storeDeps(new SkippingClock()));
    const old = await store.head("key", c);
    service.afterLook = () => {
      service.afterLook = () => undefined;
      service.put("key", "newer");
    };
    const found = await get(store, "key", { offset: 2, validator: old?.version ?? "" });
    expect(found).toMatchObject({ offset: 0, sizeBytes: 5 });
    expect(await textOf(found)).toBe("newer");
    expect(await store.head("key", c)).toMatchObject({ version: found.version });
  });

  test("an object that is replaced faster than it can be read is an error, not a loop", async () => {
    await using service = await GcsService.start();
    service.put("key", "content");
    await using store = gcsStore({ endpoint: service.host.origin }, storeDeps(new SkippingClock()));
    service.afterLook = () => service.put("key", "content again");
    await expect(store.get("key", null, c)).rejects.toMatchObject({ code: "http-status", retryable: true });
    expect(service.host.requests.length).toBeLessThan(40);
  });

  test.each([
    ["another generation", { "x-goog-generation": "7" }],
    ["bytes that were compressed on the way", { "content-encoding": "gzip" }],
  ])("%s is no content", async (_, headers) => {
    await using service = await GcsService.start();
    service.put("key", "content");
    await using store = gcsStore({ endpoint: service.host.origin }, storeDeps(new SkippingClock()));
    service.host.fail(
      { reply: { status: 200, headers, body: "something" } },
      { path: /alt=media/, times: 9 },
    );
    await expect(store.get("key", null, c)).rejects.toMatchObject({ code: "bad-answer" });
  });

  test("a service without ranges is read from the beginning", async () => {
    await using service = await GcsService.start();
    service.put("key", "content");
    await using store = gcsStore({ endpoint: service.host.origin });
    const { version = "" } = (await store.head("key", c)) ?? {};
    service.host.fail({ reply: { status: 200, body: "content" } }, { path: /alt=media/ });
    const found = await get(store, "key", { offset: 3, validator: version });
    expect(found.offset).toBe(0);
    expect(await textOf(found)).toBe("content");
  });

  test("an object that was stored compressed comes as it is stored", async () => {
    const { endpoint, createBucket } = await sharedGcs();
    const bucket = freshBucket();
    await createBucket(bucket);
    const packed = Bun.gzipSync(Buffer.from("content ".repeat(1000)));
    const url = new URL(`/upload/storage/v1/b/${bucket}/o`, endpoint);
    url.search = "uploadType=media&name=key&contentEncoding=gzip";
    await fetch(url, { method: "POST", body: packed });
    await using store = gcsStore({ endpoint, bucket });
    expect(Buffer.concat(await Array.fromAsync((await get(store, "key")).chunks)).equals(packed)).toBe(true);
  });
});

describe("writing", () => {
  test("declares the MD5, so that the service refuses what was damaged on the way", async () => {
    const { endpoint, createBucket } = await sharedGcs();
    const bucket = freshBucket();
    await createBucket(bucket);
    await using host = await HttpHost.start(async ({ path, method, headers, body }) => {
      const damaged = Buffer.from(
        Buffer.from(body).toString("latin1").replace("precious", "preciouS"),
        "latin1",
      );
      const type = { "Content-Type": headers.get("content-type") ?? "" };
      const answer = await fetch(`${endpoint}${path}`, { method, headers: type, body: damaged });
      return {
        status: answer.status,
        headers: { "Content-Type": "application/json" },
        body: await answer.text(),
      };
    });
    await using store = gcsStore({ endpoint: host.origin, bucket });
    await expect(put(store, "key", "precious")).rejects.toMatchObject({ code: "http-status" });
    await using direct = gcsStore({ endpoint, bucket });
    expect(await direct.head("key", c)).toBeNull();
  });

  test("a small file that is not what its digest says is not stored", async () => {
    await using fixture = await openGcsFixture();
    using dir = tempDir();
    const path = `${dir.path}/file`;
    await Bun.write(path, "changed");
    const putting = fixture.store.putFile("key", { path, digest: digestOf("content") }, c);
    await expect(putting).rejects.toMatchObject({ code: "filesystem" });
    expect(await fixture.store.head("key", c)).toBeNull();
  });

  test("two prefixes of a bucket don't see each other", async () => {
    const { endpoint, createBucket } = await sharedGcs();
    const bucket = freshBucket();
    await createBucket(bucket);
    await using one = gcsStore({ endpoint, bucket, prefix: "app" });
    await using other = gcsStore({ endpoint, bucket, prefix: "app2" });
    await using whole = gcsStore({ endpoint, bucket });
    await put(one, "key", "one");
    await put(other, "key", "other");
    expect(await names(one)).toEqual(["key"]);
    expect(await names(whole)).toEqual(["app/key", "app2/key"]);
    expect([one.url, whole.url]).toEqual([`gs://${bucket}/app`, `gs://${bucket}`]);
  });
});

describe("listing", () => {
  const object = (name: unknown) => ({ name, generation: "1", size: "1", updated: "2026-11-21T12:00:00Z" });

  test("names that are no keys, or were not asked for, are passed over", async () => {
    const hostile = [
      "p/ok",
      "p/../../etc/passwd",
      "p//x",
      "p/a//b",
      "p/dir/",
      "p/.",
      "other",
      "p/nul\0",
      "p/ok",
    ];
    const prefixes = ["p/v1/", "p/../", "p//", "p/", "q/", "p/v2", "p/v1/"];
    await using host = await HttpHost.start(() => json(200, { items: hostile.map(object), prefixes }));
    await using store = gcsStore({ endpoint: host.origin, prefix: "p" });
    expect(await names(store, "", "/")).toEqual(["ok", "v1/…"]);
  });

  test("prefixes that a page tells early come in their place, and once", async () => {
    await using host = await HttpHost.start(({ path }) =>
      path.includes("pageToken")
        ? json(200, { items: [object("c"), object("z")], prefixes: ["b/", "d/"] })
        : json(200, { items: [object("a")], prefixes: ["b/", "d/"], nextPageToken: "c" }),
    );
    await using store = gcsStore({ endpoint: host.origin });
    expect(await names(store, "", "/")).toEqual(["a", "b/…", "c", "d/…", "z"]);
  });

  test("a page at a time: no page is asked for before the last one was read", async () => {
    await using host = await HttpHost.start(({ path }) => {
      const page = Number(new URL(path, "http://h").searchParams.get("pageToken") ?? 0);
      const items = Array.from({ length: 1000 }, (_, index) => object(`k${page * 1000 + index + 100_000}`));
      return json(200, { items, ...(page === 4 ? {} : { nextPageToken: `${page + 1}` }) });
    });
    await using store = gcsStore({ endpoint: host.origin });
    const asked: number[] = [];
    let count = 0;
    for await (const _ of store.list("", {}, c)) {
      if (count % 1000 === 999) asked.push(host.requests.length);
      count += 1;
    }
    expect(count).toBe(5000);
    expect(asked).toEqual([1, 2, 3, 4, 5]);
    expect(host.requests[0]?.path).toContain("maxResults=1000");
  });

  test("a token that leads in circles ends", async () => {
    await using host = await HttpHost.start(() =>
      json(200, { items: [object("a")], nextPageToken: "again" }),
    );
    await using store = gcsStore({ endpoint: host.origin });
    await expect(list(store)).rejects.toMatchObject({ code: "bad-answer" });
  });
});

test("the emulator's variable never reaches Google's library, and stays for the app", async () => {
  const { endpoint, createBucket } = await sharedGcs();
  const bucket = freshBucket();
  await createBucket(bucket);
  const before = process.env["STORAGE_EMULATOR_HOST"];
  process.env["STORAGE_EMULATOR_HOST"] = "http://127.0.0.1:1";
  try {
    await using store = gcsStore({ endpoint, bucket });
    await put(store, "key", "content");
    expect(await read(store, "key")).toBe("content");
    expect(process.env["STORAGE_EMULATOR_HOST"]).toBe("http://127.0.0.1:1");
  } finally {
    if (before === undefined) delete process.env["STORAGE_EMULATOR_HOST"];
    else process.env["STORAGE_EMULATOR_HOST"] = before;
  }
});
