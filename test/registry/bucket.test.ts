import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { openBucket } from "../../src/registry/bucket/registry.ts";
import { bucketSource } from "../../src/registry/bucket/source.ts";
import type { DeployRecord } from "../../src/release/release.ts";
import type { SelectPolicy } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";
import type { ObjectStore } from "../../src/store/store.ts";
import { digestOf } from "../store/contract-support.ts";
import { localFixture } from "../store/local-fixture.ts";
import { bucketFixture, publishTo } from "./bucket-fixture.ts";
import { counting, memoryStore } from "./bucket-store.ts";
import { contractPlatform, registryContract } from "./contract.ts";

const c = { signal: new AbortController().signal };
const policy: SelectPolicy = { scheme: semverScheme(null), preRelease: false, slot: null };
const app = "app_linux_amd64.tar.gz";

registryContract("a store", async () => bucketFixture(localFixture()));

describe("a bucket as registry", () => {
  test("an artifact's address, digest and revision are the object's", async () => {
    const store = memoryStore("s3://region/bucket/a%20prefix");
    await publishTo(store, "v1.0.0+blue", { [app]: "the app", [`${app}.sha256`]: "…" });
    const { release } = await open(store).latest(c);
    expect(release?.artifact).toEqual({
      name: app,
      url: `s3://region/bucket/a%20prefix/v1.0.0+blue/${app}`,
      sizeBytes: 7,
      digest: digestOf("the app"),
      revision: store.objects.get(`v1.0.0+blue/${app}`)?.version ?? "",
    });
    expect(release?.files.map(({ digest }) => digest)).toEqual([digestOf("the app"), null]);
  });

  test("it appeared with its first file, so that a slow upload does not begin the grace period anew", async () => {
    const store = memoryStore();
    await publishTo(store, "v1.0.0", { "README.md": "x", "z.txt": "x", "a.txt": "x" });
    const { release } = await open(store).latest(c);
    expect(release?.createdAt).toEqual(store.objects.get("v1.0.0/README.md")?.updatedAt ?? null);
  });

  test("hidden names, folders in folders and folder marks are no files of a release", async () => {
    const store = memoryStore();
    await publishTo(store, "v1.0.0", {
      "": "",
      [app]: "x",
      ".part": "x",
      ".hidden/x": "x",
      "docs/app_linux_amd64.zip": "x",
    });
    await publishTo(store, ".v9.0.0", { [app]: "x" });
    await store.put("v8.0.0", new Uint8Array(), {}, c);
    const { release } = await open(store).latest(c);
    expect(release).toMatchObject({ tag: "v1.0.0", artifact: { name: app } });
    expect(release?.files.map(({ name }) => name)).toEqual([app]);
  });

  test.each([
    ["only a report", { "shipped_to_web1_server_at_20261121T093646.123000000Z.txt": "x" }],
    ["only hidden files", { ".part": "x" }],
    ["only a folder mark", { "": "" }],
    ["only what lies in other folders", { "docs/app_linux_amd64.zip": "x" }],
  ])("a tag with %s is no release", async (_, files) => {
    const store = memoryStore();
    await publishTo(store, "v1.0.0", { [app]: "x" });
    for (const tag of ["v2.0.0", "v3.0.0"]) await publishTo(store, tag, files);
    const registry = open(store);
    expect((await registry.latest(c)).release?.tag).toBe("v1.0.0");
    expect(await registry.find("v2.0.0", c)).toBeNull();
    await expect(registry.report(record("v2.0.0"), c)).rejects.toMatchObject({
      code: "not-found",
      retryable: false,
    });
  });

  test("no number of deleted releases with reports hides the ones before them", async () => {
    const store = memoryStore();
    const report = { "shipped_to_web1_server_at_20261121T093646.123000000Z.txt": "x" };
    await publishTo(store, "v1.0.0", { [app]: "x" });
    for (let patch = 1; patch < 40; patch++) await publishTo(store, `v1.0.${patch}`, report);
    expect((await open(store).latest(c)).release?.tag).toBe("v1.0.0");
    await store.delete(`v1.0.0/${app}`, c);
    expect(await open(store).latest(c)).toEqual({ release: null, otherSlot: null });
  });

  test("a deleted release of another slot is not passed over", async () => {
    const store = memoryStore();
    const report = { "shipped_to_web1_server_at_20261121T093646.123000000Z.txt": "x" };
    await publishTo(store, "v1.0.0+blue", { [app]: "x" });
    await publishTo(store, "v1.1.0+green", { [app]: "x" });
    await publishTo(store, "v1.2.0+green", report);
    await publishTo(store, "v1.3.0+blue", report);
    const blue = await open(store, { ...policy, slot: "blue" }).latest(c);
    expect(blue).toMatchObject({ release: { tag: "v1.0.0+blue" }, otherSlot: "v1.1.0+green" });
  });

  test("a poll asks for the tags and the newest one's files; the digest only when it may have changed", async () => {
    const { store, counts, reset } = counting(memoryStore());
    for (const tag of ["v1.0.0", "v1.1.0", "v1.2.0"]) await publishTo(store, tag, { [app]: tag });
    const registry = open(store);
    const polls: unknown[] = [];
    const poll = async () => {
      reset();
      const { release } = await registry.latest(c);
      polls.push([counts.lists, counts.heads, release?.artifact?.digest]);
    };
    await poll();
    await poll();
    await publishTo(store, "v1.2.0", { [app]: "replaced" });
    await poll();
    await poll();
    expect(polls).toEqual([
      [2, 1, digestOf("v1.2.0")],
      [2, 0, digestOf("v1.2.0")],
      [2, 1, digestOf("replaced")],
      [2, 0, digestOf("replaced")],
    ]);
  });

  test("5,000 versions: a poll takes four small lists", async () => {
    const memory = memoryStore();
    for (let index = 0; index < 5000; index++) {
      const tag = `v${1 + Math.floor(index / 1000)}.${Math.floor(index / 50) % 20}.${index % 50}`;
      await publishTo(memory, tag, { [app]: tag });
    }
    const { store, counts, reset } = counting(memory);
    const registry = open(store);
    await registry.latest(c);
    reset();
    expect((await registry.latest(c)).release?.artifact?.digest).toBe(digestOf("v5.19.49"));
    expect(counts).toMatchObject({ lists: 4, heads: 0 });
    expect(counts.entries).toBeLessThan(100);
  });

  test("the digest of an object that is being replaced is not taken for the listed one's", async () => {
    const store = memoryStore();
    await publishTo(store, "v1.0.0", { [app]: "old" });
    const replacing: ObjectStore = {
      ...store,
      async head(key, call) {
        await publishTo(store, "v1.0.0", { [app]: "new" });
        return store.head(key, call);
      },
    };
    const { release } = await open(replacing).latest(c);
    expect(release?.artifact?.digest).toBeNull();
  });

  test("a report that is there already is not written again", async () => {
    const store = memoryStore();
    await publishTo(store, "v1.0.0", { [app]: "x" });
    const registry = open(store);
    await registry.report(record("v1.0.0"), c);
    const before = [...store.objects.values()].map(({ version }) => version);
    await registry.report(record("v1.0.0"), c);
    expect([...store.objects.values()].map(({ version }) => version)).toEqual(before);
  });

  test("credentials that may only read refuse the report for good, with the way out", async () => {
    const store = memoryStore();
    await publishTo(store, "v1.0.0", { [app]: "x" });
    const denied: ObjectStore = {
      ...store,
      put: () => Promise.reject(new DewyError("unauthorized", "write v1.0.0: AccessDenied")),
    };
    await expect(open(denied).report(record("v1.0.0"), c)).rejects.toMatchObject({
      code: "unauthorized",
      retryable: false,
      message: "write v1.0.0: AccessDenied",
      hint: expect.stringContaining("--no-report"),
    });
  });

  test.each(["", ".", "..", ".hidden", "../v1.0.0", "v1.0.0/../v1.0.0", "v1.0.0/", "nul\0", "v2.0.0"])(
    "find(%j) finds nothing",
    async (tag) => {
      const store = memoryStore();
      await publishTo(store, "v1.0.0", { [app]: "x" });
      expect(await open(store).find(tag, c)).toBeNull();
    },
  );
});

describe("the source of a bucket's artifacts", () => {
  test.each([
    "s3://region/other/v1.0.0/app.zip",
    "s3://region/bucket/prefix-2/v1.0.0/app.zip",
    "s3://region/bucket/prefix",
    "s3://region/bucket/prefix/",
    "s3://region/bucket/prefix/../other/app.zip",
    "s3://region/bucket/prefix/%2E%2E/other/app.zip",
    "s3://region/bucket/prefix/v1.0.0%2F..%2F..%2Fother/app.zip",
    "s3://region/bucket/prefix/100%/app.zip",
    "file:///etc/passwd",
  ])("does not open %s", async (url) => {
    const source = bucketSource(memoryStore("s3://region/bucket/prefix"));
    const file = { name: "app.zip", url, sizeBytes: null, digest: null, revision: null };
    await expect(source.open(file, null, c)).rejects.toMatchObject({ code: "bad-answer", retryable: false });
  });
});

function open(store: ObjectStore, wanted = policy) {
  return openBucket(store, { policy: wanted, platform: contractPlatform, artifact: null }).registry;
}

function record(tag: string): DeployRecord {
  return {
    id: "1",
    host: "web1",
    command: "server",
    tag,
    digest: null,
    fromTag: null,
    startedAt: "2026-11-21T09:36:40.000Z",
    finishedAt: "2026-11-21T09:36:46.123Z",
    durationMs: 6123,
    result: "deployed",
  };
}
