import { describe, expect, test } from "bun:test";
import { artifactSchemes } from "../../src/drivers/artifact-sources.ts";
import { DewyError } from "../../src/errors.ts";
import { brokenRule, decodeEntry, encodeEntry, type SharedEntry } from "../../src/registry/shared/entry.ts";
import { errorOf, sharedFailure } from "../../src/registry/shared/failure.ts";
import { mayName } from "../../src/registry/shared/place.ts";
import { entryKey, registryIn, shareScope } from "../../src/registry/shared/scope.ts";
import type { Platform } from "../../src/release/platform.ts";
import type { Release } from "../../src/release/release.ts";
import { releaseOf } from "../support/fleet.ts";

const platform: Platform = { os: "linux", arch: "amd64" };
const parts = { registry: "ghr://acme/app", slot: null, calver: null, platform, host: "web1", env: {} };
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
  claim: { id: "c1", by: "web2/1/x", at, lengthMs: 30_000 },
  failure: {
    at,
    by: "web1/1/x",
    failures: 3,
    code: "rate-limited",
    message: "not now",
    hint: "see its status page",
    retryAfterMs: 60_000,
  },
};
const entryOf = (body: Uint8Array, of = scope) => {
  const decoded = decodeEntry(body, of);
  return "entry" in decoded ? decoded.entry : null;
};
const ruleOf = (body: Uint8Array, of = scope) => {
  const decoded = decodeEntry(body, of);
  return "rule" in decoded ? decoded.rule : null;
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
    expect(entryOf(encodeEntry(entry, scope, 100_000))).toEqual(entry);
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
    ["a digest of text", encode(changed(`${artifact}.digest`, "evil"))],
    ["a list of text", encode(changed("answer.latest.release.files", "evil"))],
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
    ["a claim without a time", encode(changed("claim.at", undefined))],
    ["a failure that never happened", encode(changed("failure.failures", 0))],
    ["a wait for ever", encode(changed("failure.retryAfterMs", 1e15))],
    ["a moving that is none", encode(changed("answer.latest.release.moving", "yes"))],
  ])("with %s is none", (_, body) => {
    expect(entryOf(body)).toBeNull();
    expect(ruleOf(body)).not.toContain("evil");
  });

  test("with a failure that this dewy does not know is understood", () => {
    expect(entryOf(encode(changed("failure.code", "gone-fishing")))?.failure?.code).toBe("internal");
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
      ...Array.from({ length: 998 }, (_, n) => other(`note-${n}.txt`)),
    ];
    const entry = { ...full, answer: answerOf({ ...release, files }) };
    expect(entryOf(encodeEntry(entry, scope, 1e6))?.answer?.latest.release?.files).toHaveLength(1000);
    const small = encodeEntry(entry, scope, 10_000);
    expect(small.length).toBeLessThan(10_000);
    expect(entryOf(small)?.answer?.latest.release?.files.map(({ name }) => name)).toEqual([
      "app_linux_amd64.zip",
      "SHA256SUMS",
    ]);
  });
});

describe("a failure told to the fleet", () => {
  test("keeps what the operator and the other hosts need", () => {
    const error = new DewyError("http-status", "not now", {
      hint: "see its status page",
      retryAfterMs: 90_000,
    });
    const failure = sharedFailure(error, { at, by: "web1", failures: 1 });
    expect(errorOf(failure, { answerMs: null, failureMs: 0 }, failure.by)).toMatchObject({
      code: "http-status",
      message: "not now",
      hint: "see its status page",
      retryAfterMs: 90_000,
    });
    expect(errorOf(failure, { answerMs: null, failureMs: 80_000 }, failure.by).retryAfterMs).toBe(10_000);
    expect(errorOf(failure, { answerMs: null, failureMs: 90_000 }, failure.by).retryAfterMs).toBeUndefined();
  });

  test("says how old the answer is that may be served no longer", () => {
    const failure = sharedFailure(new DewyError("network-unreachable", "no route"), {
      at,
      by: "web1",
      failures: 1,
    });
    expect(errorOf(failure, { answerMs: 86_400_499, failureMs: 0 }, failure.by)).toMatchObject({
      code: "network-unreachable",
      message: "no route; the last answer is 24h0m0s old, too old to be served",
      hint: "see why the registry fails, or raise registry-stale-max=",
    });
  });

  test.each<[string, DewyError, object, number?]>([
    ["a code of no registry", new DewyError("lock-held", "x"), { code: "internal" }],
    ["no message", new DewyError("internal", ""), { message: "no reason given" }],
    [
      "a wait of a year",
      new DewyError("http-status", "x", { retryAfterMs: 3e10 }),
      { retryAfterMs: 3_900_000 },
    ],
    ["a message without end", new DewyError("internal", "x".repeat(9999)), { message: "x".repeat(2000) }],
    ["a count without end", new DewyError("internal", "x"), { failures: 1000 }, 1001],
  ])("with %s is one that can be read", (_, error, told, failures = 1) => {
    const failure = sharedFailure(error, { at, by: "web1", failures });
    expect(failure).toMatchObject(told);
    const entry = { answer: null, claim: null, failure };
    expect(entryOf(encodeEntry(entry, scope, 1e6))).toEqual(entry);
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

  test("of a directory is its host's own; of a server all hosts'", () => {
    const of = (registry: string, host: string) => shareScope({ ...parts, registry, host });
    expect(of("file:///srv/releases", "web1")).toBe(of("file:///srv/releases", "web1"));
    expect(of("file:///srv/releases", "web1")).not.toBe(of("file:///srv/releases", "web2"));
    for (const registry of [
      "ghr://acme/app",
      "s3://r/b/app",
      "gs://bucket",
      "img://h.example/app",
      "grpc://h:1",
    ])
      expect(of(registry, "web1")).toBe(of(registry, "web2"));
  });
});

describe("the artifacts that a registry may give", () => {
  const tagUrl = "ghr://acme/app/tag/v1.0.0";

  test.each<[string, string, boolean]>([
    ["ghr://acme/app", `${tagUrl}/a.zip`, true],
    ["ghr://Acme/App", "ghr://acme/APP/tag/v1/a.zip", true],
    ["ghr://acme/app", "ghr://acme/app/tag/2026%2F11/a%20b.zip", true],
    ["ghr://acme/app", "ghr://acme/application/tag/v1/a.zip", false],
    ["ghr://acme/app", "ghr://acme/app", false],
    ["ghr://acme/app", "ghr://acme/app/", false],
    ["ghr://acme/app", "ghr://evil/app/tag/v1/a.zip", false],
    ["ghr://acme/app", "ghr://acme/app/../evil/tag/v1/a.zip", false],
    ["ghr://acme/app", "ghr://acme/app/%2e%2E/evil/a.zip", false],
    ["ghr://acme/app", "ghr://acme/app/..%2F..%2Fevil", false],
    ["ghr://acme/app", "ghr://acme/app//a.zip", false],
    ["ghr://acme/app", "ghr://user:pw@acme/app/tag/v1/a.zip", false],
    ["ghr://acme/app", `${tagUrl}/a.zip?x=1`, false],
    ["ghr://acme/app", `${tagUrl}/a.zip#x`, false],
    ["ghr://acme/app", `${tagUrl}/a%zz`, false],
    ["ghr://acme/app", `${tagUrl}/a%0Ab`, false],
    ["ghr://acme/app", `${tagUrl}/a b`, false],
    ["ghr://acme/app", `${tagUrl}/a%5Cb`, false],
    ["ghr://acme/app", "file:///etc/passwd", false],
    ["ghr://acme/app", "https://evil.example/a.zip", false],
    ["s3://r/b/app", "s3://r/b/app/v1/a.zip", true],
    ["s3:///b/app?region=eu-west-1", "s3://eu-west-1/b/app/v1/a.zip", true],
    ["s3://r/b", "s3://r/b/v1/a.zip", true],
    ["s3://r/b/my+app%20@x", "s3://r/b/my+app%20%40x/v1.0.0+blue/a.zip", true],
    ["s3://r/b/app", "s3://r/b/other/v1/a.zip", false],
    ["s3://r/b/app", "s3://r/evil/app/v1/a.zip", false],
    ["s3://r/b/app", "s3://r/b/app/../other/a.zip", false],
    ["gs://bucket/app", "gs://bucket/app/v1/a.zip", true],
    ["gs://bucket", "gs://bucket/v1/a.zip", true],
    ["gs://bucket/app", "gs://evil/app/v1/a.zip", false],
    ["file:///srv", "file:///srv/v1/a.zip", true],
    ["file:///srv//my%20releases/", "file:///srv/my%20releases/v1/a.zip", true],
    ["file:///srv", "file:///etc/passwd", false],
    ["file:///srv", "file:///srv/../etc/passwd", false],
    ["file:///srv", "file://evil/srv/v1/a.zip", false],
    ["img://ghcr.io/a/b", "img://ghcr.io/a/b:v1", true],
    ["img://ghcr.io/a/b", `img://ghcr.io/a/b@sha256:${"a".repeat(64)}`, true],
    ["docker://ghcr.io/a/b", "img://ghcr.io/a/b:v1", true],
    ["img://docker.io/nginx", "img://docker.io/library/nginx:v1", true],
    ["img://127.0.0.1:5000/app", "img://127.0.0.1:5000/app:v1", true],
    ["img://ghcr.io/a/b", "img://ghcr.io/a/b", false],
    ["img://ghcr.io/a/b", "img://ghcr.io/a/bc:v1", false],
    ["img://ghcr.io/a/b", "img://ghcr.io/a/b/c:v1", false],
    ["img://ghcr.io/a/b", "img://ghcr.io/a/b:v1/../evil", false],
    ["img://ghcr.io/a/b", "img://evil.io/a/b:v1", false],
    ["img://ghcr.io/a/b", "docker://ghcr.io/a/b:v1", false],
    ["grpc://h:1", "ghr://acme/app/tag/v1/a.zip", true],
    ["grpc://h:1", "https://cdn.example/a.zip", true],
    ["grpc://h:1", "http://cdn.example/a.zip", false],
    ["grpc://h:1", "https://user:pw@cdn.example/a.zip", false],
    ["grpc://h:1", "https://cdn.example/a.zip?sig=1", false],
    ["grpc://h:1", "https://cdn.example/a.zip#x", false],
    ["grpc://h:1", "https://cdn.example\\a.zip", false],
    ["grpc://h:1", "file:///etc/passwd", false],
    ["grpc://h:1", "", false],
  ])("of %s: %s is one: %p", (registry, url, allowed) => {
    expect(mayName(shareScope({ ...parts, registry }), url)).toBe(allowed);
  });

  test("of a gRPC server are of the schemes that are opened", () => {
    const grpc = shareScope({ ...parts, registry: "grpc://h:1" });
    const known = ["ghr", "s3", "gs", "https", "http", "file", "img", "data"];
    expect(known.filter((scheme) => mayName(grpc, `${scheme}://h/b/a.zip`))).toEqual(
      known.filter((scheme) => artifactSchemes.includes(scheme)),
    );
  });
});

describe("an entry that somebody hostile wrote", () => {
  const ghr = shareScope(parts);
  const file = (name: string, url = `ghr://acme/app/tag/v1.0.0/${encodeURIComponent(name)}`) => ({
    name,
    url,
    sizeBytes: 1,
    digest: null,
    revision: null,
  });
  const entry = (changes: object) => {
    const artifact = file("app.zip");
    const release = { tag: "v1.0.0", createdAt: null, artifact, files: [artifact], ...changes };
    return encode({ answer: answerOf(release), claim: null, failure: null });
  };

  test("would be one if it kept to the rules", () => {
    expect(ruleOf(entry({}), ghr)).toBeNull();
  });

  test.each([
    "../v1",
    "a//b",
    "/v1",
    "v1/",
    "a\\b",
    ".v1",
    "-v1",
    "v 1",
    "v1\n",
    "v1\u001b[31m",
    "v\u202e1",
    "vé",
    "$(x)",
    "a".repeat(257),
    "",
  ])("with the tag %j is none", (tag) => {
    expect(ruleOf(entry({ tag }), ghr)).toBe("answer.latest.release.tag: a tag that is no safe name");
  });

  test.each([
    "v1.2.3-rc.1+blue.1",
    "2026/11/21",
    "2026_11-21",
    "latest",
    "a..b",
    "1",
    `1.0.0-${"a".repeat(250)}`,
  ])("may have the tag %s as any registry that lists tags", (tag) => {
    expect(entryOf(entry({ tag }), ghr)?.answer?.latest.release?.tag).toBe(tag);
  });

  test("of a gRPC registry has such a tag as its server may give", () => {
    const grpc = shareScope({ ...parts, registry: "grpc://h:1" });
    expect(ruleOf(entry({ tag: "v1.0.0" }), grpc)).toBeNull();
    expect(ruleOf(entry({ tag: "2026/11" }), grpc)).toContain("no safe name");
  });

  test("with another slot's tag that is none is none", () => {
    const answer = { ...answerOf(null), latest: { release: null, otherSlot: "v1\nv2" } };
    expect(ruleOf(encode({ answer, claim: null, failure: null }), ghr)).toBe(
      "answer.latest.otherSlot: a tag that is no safe name",
    );
  });

  test.each(["a/b", "a\\b", "a\nb", "a\u0000", ".", "..", "", "é".repeat(128)])(
    "with the file name %j is none",
    (name) => {
      const named = file(name, "ghr://acme/app/tag/v1.0.0/app.zip");
      const rule = "a file name that can be none";
      expect(ruleOf(entry({ artifact: named, files: [named] }), ghr)).toBe(
        `answer.latest.release.artifact: ${rule}`,
      );
      expect(ruleOf(entry({ files: [file("app.zip"), named] }), ghr)).toBe(
        `answer.latest.release.files.1: ${rule}`,
      );
    },
  );

  test("with an image that is called otherwise is none", () => {
    const img = shareScope({ ...parts, registry: "img://h.example/app" });
    const image = (name: string) => file(name, "img://h.example/app:v1.0.0");
    const of = (name: string) => entry({ artifact: image(name), files: [image(name)] });
    expect(ruleOf(of("h.example/app:v1.0.0"), img)).toBeNull();
    expect(ruleOf(of("evil.example/app:v1.0.0"), img)).toContain("a file name that can be none");
  });

  test("with a thousand files and one, or an artifact that is none of them, is none", () => {
    const files = [file("app.zip"), ...Array.from({ length: 1000 }, (_, n) => file(`${n}.txt`))];
    expect(ruleOf(entry({ files }), ghr)).toBe("answer.latest.release.files: more than 1000 files");
    const rule = "answer.latest.release: an artifact that is not among the files";
    expect(ruleOf(entry({ files: [] }), ghr)).toBe(rule);
    expect(ruleOf(entry({ files: [{ ...file("app.zip"), digest: `sha256:${"b".repeat(64)}` }] }), ghr)).toBe(
      rule,
    );
  });
});

describe("what a registry gives", () => {
  const published = (changes: object = {}) => ({ ...releaseOf("v1.0.0"), ...changes });

  test("that nobody needs and nobody would take is left out", () => {
    const odd = { name: "a\\b", url: "memory:///a", sizeBytes: 1, digest: null, revision: null };
    const release = published({ files: [...releaseOf("v1.0.0").files, odd] });
    const entry = { ...full, answer: answerOf(release) };
    expect(brokenRule({ release, otherSlot: null }, scope)).toBeNull();
    expect(entryOf(encodeEntry(entry, scope, 1e6))?.answer?.latest.release).toEqual(releaseOf("v1.0.0"));
  });

  test("in thousands is told by what a deploy reads", () => {
    const [first] = releaseOf("v1.0.0").files;
    if (first === undefined) throw new Error("no file");
    const notes = Array.from({ length: 3000 }, (_, n) => ({ ...first, name: `note-${n}.txt` }));
    const release = published({ files: [first, ...notes, { ...first, name: "SHA256SUMS" }] });
    expect(brokenRule({ release, otherSlot: null }, scope)).toBeNull();
    const told = entryOf(encodeEntry({ ...full, answer: answerOf(release) }, scope, 1e8));
    expect(told?.answer?.latest.release?.files.map(({ name }) => name)).toEqual([first.name, "SHA256SUMS"]);
  });

  test("breaks a rule by its tag or its artifact", () => {
    const artifact = { ...releaseOf("v1.0.0").files[0], name: "a/b" };
    expect(brokenRule({ release: published({ tag: "v 1" }), otherSlot: null }, scope)).toContain(
      "release.tag",
    );
    expect(
      brokenRule({ release: published({ artifact, files: [artifact] }), otherSlot: null }, scope),
    ).toContain("release.artifact");
  });
});
