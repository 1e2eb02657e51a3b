import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { decodeEntry, encodeEntry, type SharedEntry } from "../../src/registry/shared/entry.ts";
import { errorOf, sharedFailure } from "../../src/registry/shared/failure.ts";
import { entryKey, mayName, registryIn, shareScope } from "../../src/registry/shared/scope.ts";
import type { Platform } from "../../src/release/platform.ts";
import type { Release } from "../../src/release/release.ts";
import { releaseOf } from "../support/fleet.ts";

const platform: Platform = { os: "linux", arch: "amd64" };
const parts = { registry: "ghr://acme/app", slot: null, calver: null, platform, env: {} };
const scope = shareScope({ ...parts, registry: "memory:///registry" });
const at = new Date("2026-11-21T09:36:46.123Z");

const answerOf = (release: Release | null) => ({
  latest: { release, otherSlot: null },
  fetchedAt: at,
  by: "web1/1/x",
});
const full: SharedEntry = {
  answer: {
    ...answerOf({ ...releaseOf("v1.0.0"), moving: true }),
    latest: { release: { ...releaseOf("v1.0.0"), moving: true }, otherSlot: "v1.1.0+green" },
  },
  claim: { id: "c1", by: "web2/1/x", lengthMs: 30_000 },
  failure: {
    at,
    by: "web1/1/x",
    code: "rate-limited",
    message: "not now",
    hint: "set GH_TOKEN",
    retryAfterMs: 60_000,
  },
};
const encode = (entry: unknown) => Buffer.from(JSON.stringify(entry));

describe("an entry", () => {
  test.each<[string, SharedEntry]>([
    ["with everything", full],
    ["with nothing", { answer: null, claim: null, failure: null }],
    ["with no release", { ...full, answer: answerOf(null) }],
    [
      "with a release without an artifact",
      { ...full, answer: answerOf({ ...releaseOf("v1"), artifact: null, createdAt: null }) },
    ],
  ])("%s comes back as it was", (_, entry) => {
    expect(decodeEntry(encodeEntry(entry, 100_000), scope)).toEqual(entry);
  });

  /** `full` with the value at a path changed. */
  const changed = (path: string, value: unknown) => {
    const entry = JSON.parse(JSON.stringify(full));
    const names = path.split(".");
    const last = names.pop() ?? "";
    const holder = names.reduce((object, name) => object[name], entry);
    holder[last] = value;
    return entry;
  };
  const artifact = "answer.latest.release.artifact";

  test.each<[string, Uint8Array]>([
    ["no bytes", Buffer.alloc(0)],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22])],
    ["no JSON", Buffer.from("{")],
    ["JSON of something else", encode("entry")],
    ["no claim", encode({ answer: null, failure: null })],
    ["an answer without a time", encode(changed("answer.fetchedAt", undefined))],
    ["a time that is none", encode(changed("answer.fetchedAt", "yesterday"))],
    ["a time that the calendar lacks", encode(changed("answer.fetchedAt", "2026-13-45T00:00:00.000Z"))],
    ["a time of a number", encode(changed("failure.at", 1_700_000_000))],
    ["a digest too short", encode(changed(`${artifact}.digest`, "sha256:abc"))],
    ["a digest of another kind", encode(changed(`${artifact}.digest`, `sha512:${"a".repeat(64)}`))],
    ["a digest in capitals", encode(changed(`${artifact}.digest`, `sha256:${"A".repeat(64)}`))],
    ["a file of the host", encode(changed(`${artifact}.url`, "file:///etc/passwd"))],
    ["another registry's file", encode(changed(`${artifact}.url`, "ghr://evil/app/tag/v1/app.zip"))],
    ["no URL", encode(changed(`${artifact}.url`, "app.zip"))],
    ["a listed file of the host", encode(changed("answer.latest.release.files.0.url", "file:///etc/passwd"))],
    ["a negative size", encode(changed(`${artifact}.sizeBytes`, -1))],
    ["half a byte", encode(changed(`${artifact}.sizeBytes`, 1.5))],
    ["an empty tag", encode(changed("answer.latest.release.tag", ""))],
    ["a tag that is none", encode(changed("answer.latest.release.tag", { $: 1 }))],
    ["files that are no list", encode(changed("answer.latest.release.files", {}))],
    ["a claim for ever", encode(changed("claim.lengthMs", 1e15))],
    ["a claim for no time", encode(changed("claim.lengthMs", 0))],
    ["a wait for ever", encode(changed("failure.retryAfterMs", 1e15))],
    ["a moving that is none", encode(changed("answer.latest.release.moving", "yes"))],
  ])("with %s is none", (_, body) => {
    expect(decodeEntry(body, scope)).toBeNull();
  });

  test("with a failure that this dewy does not know is understood", () => {
    expect(decodeEntry(encode(changed("failure.code", "gone-fishing")), scope)?.failure?.code).toBe(
      "internal",
    );
  });

  test("with more files than the cache takes tells those that a deploy reads", () => {
    const release = releaseOf("v1.0.0");
    const other = (name: string) => ({
      ...release.files[0],
      name,
      url: `memory:///v1.0.0/${name}`,
      sizeBytes: 1,
      digest: null,
      revision: null,
    });
    const files = [
      ...release.files,
      other("SHA256SUMS"),
      ...Array.from({ length: 999 }, (_, n) => other(`note-${n}.txt`)),
    ];
    const entry = { ...full, answer: answerOf({ ...release, files }) };
    expect(decodeEntry(encodeEntry(entry, 1e6), scope)?.answer?.latest.release?.files).toHaveLength(1001);
    const small = encodeEntry(entry, 10_000);
    expect(small.length).toBeLessThan(10_000);
    expect(decodeEntry(small, scope)?.answer?.latest.release?.files.map(({ name }) => name)).toEqual([
      "app_linux_amd64.zip",
      "SHA256SUMS",
    ]);
  });
});

describe("a failure told to the fleet", () => {
  test("keeps what the operator and the other hosts need", () => {
    const error = new DewyError("rate-limited", "not now", { hint: "set GH_TOKEN", retryAfterMs: 90_000 });
    const failure = sharedFailure(error, at, "web1");
    expect(errorOf(failure, { answerMs: null, failureMs: 0 })).toMatchObject({
      code: "rate-limited",
      message: "not now",
      hint: "set GH_TOKEN",
      retryAfterMs: 90_000,
    });
    expect(errorOf(failure, { answerMs: null, failureMs: 80_000 }).retryAfterMs).toBe(10_000);
    expect(errorOf(failure, { answerMs: null, failureMs: 90_000 }).retryAfterMs).toBeUndefined();
  });

  test("says how old the answer is that may be served no longer", () => {
    const failure = sharedFailure(new DewyError("network-unreachable", "no route"), at, "web1");
    expect(errorOf(failure, { answerMs: 86_400_499, failureMs: 0 })).toMatchObject({
      code: "network-unreachable",
      message: "no route; the last answer is 24h0m0s old, too old to be served",
      hint: "see why the registry fails, or raise registry-stale-max=",
    });
  });

  test.each([
    ["a code of no registry", new DewyError("lock-held", "x"), { code: "internal" }],
    ["no message", new DewyError("internal", ""), { message: "no reason given" }],
    [
      "a wait of a year",
      new DewyError("rate-limited", "x", { retryAfterMs: 3e10 }),
      { retryAfterMs: 3_900_000 },
    ],
    ["a message without end", new DewyError("internal", "x".repeat(9999)), { message: "x".repeat(2000) }],
  ])("with %s is one that can be read", (_, error, told) => {
    const failure = sharedFailure(error, at, "web1");
    expect(failure).toMatchObject(told);
    const entry = { answer: null, claim: null, failure };
    expect(decodeEntry(encodeEntry(entry, 1e6), scope)).toEqual(entry);
  });
});

describe("a scope", () => {
  const same = (changes: Partial<Parameters<typeof shareScope>[0]>) =>
    expect(shareScope({ ...parts, ...changes })).toBe(shareScope(parts));
  const differs = (changes: Partial<Parameters<typeof shareScope>[0]>) =>
    expect(shareScope({ ...parts, ...changes })).not.toBe(shareScope(parts));

  test.each<[string, Partial<Parameters<typeof shareScope>[0]>]>([
    ["another repository", { registry: "ghr://acme/other" }],
    ["an artifact", { registry: "ghr://acme/app?artifact=a.zip" }],
    ["a constraint", { registry: "ghr://acme/app?constraint=~1" }],
    ["pre-releases", { registry: "ghr://acme/app?pre-release=true" }],
    ["a slot", { slot: "blue" }],
    ["a CalVer format", { calver: "YYYY.0M" }],
    ["another system", { platform: { ...platform, os: "darwin" } }],
    ["another architecture", { platform: { ...platform, arch: "arm64" } }],
    ["the environment's artifact", { env: { GITHUB_ARTIFACT: "a.zip" } }],
    ["the environment's API", { env: { GITHUB_API_URL: "https://ghe.example/api/v3" } }],
  ])("differs by %s", (_, changes) => differs(changes));

  test("does not take a slot for a CalVer format", () => {
    expect(shareScope({ ...parts, slot: "x" })).not.toBe(shareScope({ ...parts, calver: "x" }));
  });

  test.each<[string, Partial<Parameters<typeof shareScope>[0]>]>([
    ["a slash at its end", { registry: "ghr://acme/app/" }],
    ["credentials", { env: { GH_TOKEN: "t", GITHUB_TOKEN: "t" } }],
    ["another registry's variables", { env: { AWS_ENDPOINT_URL: "http://127.0.0.1:9" } }],
    ["an empty variable", { env: { GITHUB_ARTIFACT: " " } }],
  ])("is the same with %s", (_, changes) => same(changes));

  test("is the same whatever the order of the query", () => {
    const url = (query: string) => shareScope({ ...parts, registry: `s3://r/b/app?${query}` });
    expect(url("artifact=a&endpoint=http://h")).toBe(url("endpoint=http://h&artifact=a"));
    expect(url("artifact=a")).not.toBe(url("artifact=b"));
  });

  test("shows where it leads and hides all the rest", () => {
    const secret = shareScope({
      ...parts,
      registry: "grpc://user:hunter2@registry.example:443/?token=hunter2#hunter2",
    });
    expect(secret).toMatch(/^grpc:\/\/registry\.example:443 linux\/amd64 [0-9a-f]{64}$/);
    expect(registryIn(secret)).toBe("grpc://registry.example:443");
    expect(secret).not.toBe(
      shareScope({ ...parts, registry: "grpc://user:other@registry.example:443/?token=hunter2#hunter2" }),
    );
  });

  test("has a key of a prefix that the Go original does not use", () => {
    expect(entryKey(shareScope(parts))).toMatch(/^dewy-registry\/v1\/[0-9a-f]{64}$/);
  });

  test.each([
    ["ghr://acme/app", "ghr://acme/app/tag/v1/a.zip", true],
    ["ghr://acme/app", "file:///etc/passwd", false],
    ["ghr://acme/app", "https://evil.example/a.zip", false],
    ["s3://r/b/app", "s3://r/b/app/v1/a.zip", true],
    ["file:///srv", "file:///srv/v1/a.zip", true],
    ["img://ghcr.io/a/b", "img://ghcr.io/a/b:v1", true],
    ["docker://ghcr.io/a/b", "img://ghcr.io/a/b:v1", true],
    ["grpc://h:1", "ghr://acme/app/tag/v1/a.zip", true],
    ["grpc://h:1", "https://cdn.example/a.zip", true],
    ["grpc://h:1", "file:///etc/passwd", false],
    ["grpc://h:1", "", false],
  ])("of %s may name %s: %p", (registry, url, allowed) => {
    expect(mayName(shareScope({ ...parts, registry }), url)).toBe(allowed);
  });
});
