import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { failureOf } from "../http/fixture.ts";
import { HttpHost } from "../support/http-host.ts";
import { anyEnv, openAt } from "./s3-fixture.ts";

const c = { signal: new AbortController().signal };

/** What a service answers, page by page; the last page stays. */
let pages: readonly string[];
let host: HttpHost;
beforeAll(async () => {
  let asked = 0;
  host = await HttpHost.start(({ path }) => {
    asked = path.includes("continuation-token") ? asked + 1 : 1;
    return {
      status: 200,
      headers: { "Content-Type": "application/xml" },
      body: pages[Math.min(asked, pages.length) - 1] ?? "",
    };
  });
});
afterAll(() => host[Symbol.asyncDispose]());

interface Page {
  readonly keys?: readonly string[];
  readonly prefixes?: readonly string[];
  readonly next?: string;
  readonly truncated?: boolean;
  readonly encoded?: boolean;
}

function page({
  keys = [],
  prefixes = [],
  next,
  truncated = next !== undefined,
  encoded = false,
}: Page): string {
  const contents = keys.map(
    (key) =>
      `<Contents><Key>${key}</Key><LastModified>2026-11-21T09:36:46.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>`,
  );
  const common = prefixes.map((prefix) => `<CommonPrefixes><Prefix>${prefix}</Prefix></CommonPrefixes>`);
  const token = next === undefined ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`;
  const encoding = encoded ? "<EncodingType>url</EncodingType>" : "";
  return `<?xml version="1.0"?><ListBucketResult><Name>releases</Name>${encoding}<IsTruncated>${truncated}</IsTruncated>${token}${contents.join("")}${common.join("")}</ListBucketResult>`;
}

function open() {
  return openAt(`s3://eu-central-1/releases/app?endpoint=${host.origin}`, anyEnv);
}

async function keysOf(prefix = "", delimiter?: string): Promise<string[]> {
  await using store = open();
  const options = delimiter === undefined ? {} : { delimiter };
  return (await Array.fromAsync(store.list(prefix, options, c))).map(({ kind, key }) => `${kind} ${key}`);
}

describe("a listing", () => {
  test("tells objects and prefixes below the store's prefix, in the order of their bytes", async () => {
    pages = [page({ keys: ["app/a", "app/a-", "app/b0"], prefixes: ["app/a/", "app/b/"] })];
    expect(await keysOf("", "/")).toEqual(["object a", "object a-", "prefix a/", "prefix b/", "object b0"]);
  });

  test("tells size, time and version", async () => {
    pages = [page({ keys: ["app/a"] })];
    await using store = open();
    const updatedAt = new Date("2026-11-21T09:36:46.000Z");
    expect(await Array.fromAsync(store.list("", {}, c))).toEqual([
      { kind: "object", key: "a", sizeBytes: 7, version: '"e"', updatedAt },
    ]);
  });

  test.each<[string, readonly string[]]>([
    ["outside the prefix", ["other/a", "apps/a", "ap", "", "/app/a"]],
    ["that lead out of it", ["app/../a", "app/x/../../a", "app/..", "app/./a"]],
    ["that no key of ours can be", ["app/", "app//a", "app/x/", "app/x//y"]],
  ])("passes over keys %s", async (_, keys) => {
    pages = [page({ keys: [...keys, "app/good"], prefixes: keys.map((key) => `${key}/`) })];
    expect(await keysOf()).toEqual(["object good"]);
  });

  test("of a part passes over what was not asked for", async () => {
    pages = [page({ keys: ["app/v1/a", "app/v2/a"], prefixes: ["app/v1/x/", "app/v2/x/"] })];
    expect(await keysOf("v1/", "/")).toEqual(["object v1/a", "prefix v1/x/"]);
  });

  test("has its keys unescaped where the service says that they are escaped, and only there", async () => {
    const keys = ["app/a+b%2Bc%20d%C3%A9"];
    pages = [page({ keys, encoded: true })];
    expect(await keysOf()).toEqual(["object a b+c dé"]);
    expect(host.requests.at(-1)?.path).toContain("encoding-type=url");
    pages = [page({ keys })];
    expect(await keysOf()).toEqual(["object a+b%2Bc%20d%C3%A9"]);
  });

  test("goes on page by page, over empty ones, and only as far as somebody reads", async () => {
    pages = [page({ keys: ["app/a"], next: "1" }), page({ next: "2" }), page({ keys: ["app/b"] })];
    expect(await keysOf()).toEqual(["object a", "object b"]);
    await using store = open();
    const before = host.requests.length;
    for await (const { key } of store.list("", {}, c)) {
      expect(key).toBe("a");
      break;
    }
    expect(host.requests.length).toBe(before + 1);
  });

  test("tells a prefix once, however many pages tell it", async () => {
    pages = [
      page({ prefixes: ["app/v"], next: "1" }),
      page({ prefixes: ["app/v"], next: "2" }),
      page({ prefixes: ["app/v", "app/w"] }),
    ];
    expect(await keysOf("", "-")).toEqual(["prefix v", "prefix w"]);
  });

  test.each<[string, readonly string[]]>([
    [
      "goes round in a circle",
      [page({ keys: ["app/a"], next: "same" }), page({ keys: ["app/a"], next: "same" })],
    ],
    ["does not say where it goes on", [page({ keys: ["app/a"], truncated: true })]],
    ["holds a broken escape", [page({ keys: ["app/%zz"], encoded: true })]],
    ["has objects without an ETag", [page({ keys: ["app/a"] }).replace(/<ETag>.*<\/ETag>/, "")]],
    ["is none", ["<html><body>Welcome</body></html>"]],
    ["is empty", [""]],
    ["is cut", [page({ keys: ["app/a"] }).slice(0, 200)]],
  ])("that %s is refused", async (_, answers) => {
    pages = answers;
    expect(await failureOf(keysOf())).toMatchObject({
      code: "bad-answer",
      message: expect.stringMatching(/^list \* in s3:\/\/eu-central-1\/releases\/app: .* no answer of S3$/),
    });
  });

  test("of a prefix that no key can have is empty, and nobody is asked", async () => {
    const before = host.requests.length;
    for (const prefix of ["/", "a//", "../", "a/./b"]) expect(await keysOf(prefix)).toEqual([]);
    expect(host.requests.length).toBe(before);
  });
});
