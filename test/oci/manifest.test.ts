import { describe, expect, test } from "bun:test";
import type { ErrorCode } from "../../src/errors.ts";
import { HttpHost, type Reply } from "../support/http-host.ts";
import { sha256 } from "../support/oci-image.ts";
import {
  c,
  failureOf,
  imageManifest,
  jsonReply,
  manifestReply,
  notFound,
  openOn,
  repository,
  tagsReply,
} from "./fixture.ts";

const manifests = `/v2/${repository}/manifests/`;
const manifest = imageManifest("1");
const digest = sha256(manifest);

/** A registry with one version, whose HEAD and GET answer as given. */
function withManifest(head: Reply, get: Reply = manifestReply(manifest)): Promise<HttpHost> {
  return HttpHost.start(({ method, path }) => {
    if (path.includes("/tags/list")) return tagsReply(["v1.0.0"]);
    return method === "HEAD" ? head : get;
  });
}

describe("a poll", () => {
  test("learns the digest by HEAD, which is no pull", async () => {
    await using host = await withManifest(manifestReply(manifest));
    const opened = openOn(host.origin).registry;
    for (let poll = 0; poll < 2; poll++) {
      expect((await opened.latest(c)).release?.artifact?.digest).toBe(digest);
    }
    const asked = host.requests.filter(({ path }) => path.startsWith(manifests));
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `HEAD ${manifests}v1.0.0`,
      `HEAD ${manifests}v1.0.0`,
    ]);
    for (const type of [
      "oci.image.index.v1",
      "docker.distribution.manifest.list.v2",
      "oci.image.manifest.v1",
    ]) {
      expect(asked[0]?.headers.get("accept")).toContain(`application/vnd.${type}+json`);
    }
  });

  test.each<[string, Reply]>([
    ["that tells none", { ...manifestReply(manifest, null) }],
    ["that tells another kind", manifestReply(manifest, `sha512:${"0".repeat(128)}`)],
    ["that tells nonsense", manifestReply(manifest, "sha256:../../etc/passwd")],
    ["that is not allowed", { status: 405 }],
    ["that is not understood", { status: 400 }],
  ])("takes the digest of the content after a HEAD %s", async (_, head) => {
    await using host = await withManifest(head);
    expect((await openOn(host.origin).registry.latest(c)).release?.artifact?.digest).toBe(digest);
  });

  test.each<[string, Reply, ErrorCode]>([
    ["HTML", { status: 200, headers: { "Content-Type": "text/html" }, body: "<p>Log in" }, "bad-answer"],
    ["neither image nor index", jsonReply({ schemaVersion: 1, fsLayers: [] }), "bad-answer"],
    ["image and index at once", jsonReply({ ...JSON.parse(manifest), manifests: [] }), "bad-answer"],
    ["too large", { status: 200, body: manifest + " ".repeat(5 * 1024 * 1024) }, "bad-answer"],
    ["no right", { status: 403 }, "unauthorized"],
  ])("is told what came instead of a manifest: %s", async (_, get, code) => {
    await using host = await withManifest(manifestReply(manifest, null), get);
    expect((await failureOf(openOn(host.origin).registry.latest(c))).code).toBe(code);
  });
});

interface Entry {
  readonly platform?: string;
  readonly body?: string;
  readonly attestation?: boolean;
}

/** Serves an index of images by digest and as v1.0.0; answers the images' digests. */
async function withIndex(entries: readonly Entry[], config = "{}") {
  const bodies = entries.map(({ body }, index) => body ?? imageManifest(`${index}`, sha256(config)));
  const index = JSON.stringify({
    schemaVersion: 2,
    manifests: entries.map(({ platform, attestation }, at) => {
      const [os, architecture, variant] = platform?.split("/") ?? [];
      return {
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        digest: sha256(bodies[at] ?? ""),
        size: 1,
        ...(os === undefined ? {} : { platform: { os, architecture, ...(variant && { variant }) } }),
        ...(attestation && { annotations: { "vnd.docker.reference.type": "attestation-manifest" } }),
      };
    }),
  });
  const content = new Map<string, string>([config, index, ...bodies].map((body) => [sha256(body), body]));
  const host = await HttpHost.start(({ path }) => {
    const reference = path.split("/").at(-1) ?? "";
    const body = reference === "v1.0.0" ? index : content.get(reference);
    return body === undefined ? notFound : manifestReply(body);
  });
  return {
    host,
    index: sha256(index),
    digests: bodies.map(sha256),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

describe("an index", () => {
  const both = ["linux/amd64", "linux/arm64/v8"].map((platform) => ({ platform }));
  test.each<[string, readonly Entry[], string | null, number]>([
    ["this platform", both, null, 0],
    ["another one that was asked for", both, "linux/arm64", 1],
    ["arm64 is arm64/v8", [{ platform: "linux/arm64" }], "linux/arm64/v8", 0],
    ["the plainest variant first", [{ platform: "linux/amd64/v3" }, { platform: "linux/amd64" }], null, 1],
    [
      "the variant asked for first",
      [{ platform: "linux/amd64" }, { platform: "linux/amd64/v3" }],
      "linux/amd64/v3",
      1,
    ],
    [
      "an older ARM where there is no better",
      ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"].map((platform) => ({ platform })),
      "linux/arm/v7",
      1,
    ],
    ["not the attestation", [{ platform: "unknown/unknown", attestation: true }, ...both], null, 1],
    ["not one that only looks like it", [{ attestation: true, platform: "linux/amd64" }, ...both], null, 1],
    ["the only one, unnamed", [{}], null, 0],
    ["the only one, unnamed, beside an attestation", [{ platform: "unknown/unknown" }, {}], null, 1],
    ["another system's is none", [{ platform: "windows/amd64" }, { platform: "linux/amd64" }], null, 1],
  ])("leads to %s", async (_, entries, platform, at) => {
    await using index = await withIndex(entries);
    const { images } = openOn(index.host.origin);
    const image = await images.resolve(index.index, platform, c);
    expect<unknown>(image).toEqual({
      digest: index.digests[at],
      configDigest: sha256("{}"),
      sizeBytes: 7,
    });
  });

  test.each<[string, readonly Entry[], string]>([
    [
      "of other platforms",
      [{ platform: "linux/arm64/v8" }, { platform: "windows/amd64" }],
      "linux/arm64/v8, windows/amd64",
    ],
    ["with a variant this machine may not run", [{ platform: "linux/amd64/v4" }], "linux/amd64/v4"],
    ["of nothing", [], "none"],
  ])("%s is refused, and says what there is", async (_, entries, has) => {
    await using index = await withIndex(entries);
    const error = await failureOf(openOn(index.host.origin).images.resolve("v1.0.0", null, c));
    expect(error).toMatchObject({ code: "artifact-missing", hint: expect.stringContaining("--platform") });
    expect(error.message).toEndWith(`is not for linux/amd64 but for ${has}`);
  });

  test("within an index is followed, but not without end", async () => {
    const inner = JSON.parse('{"schemaVersion":2,"manifests":[]}');
    await using leaf = await withIndex([{ platform: "linux/amd64" }]);
    expect((await openOn(leaf.host.origin).images.resolve("v1.0.0", null, c)).sizeBytes).toBe(7);
    // One that holds its own digest can't be made, so each content names the next.
    const bodies: string[] = [JSON.stringify(inner)];
    for (let depth = 0; depth < 6; depth++) {
      const platform = { os: "linux", architecture: "amd64" };
      const next = { mediaType: "x", digest: sha256(bodies.at(-1) ?? ""), size: 1, platform };
      bodies.push(JSON.stringify({ schemaVersion: 2, manifests: [next] }));
    }
    const content = new Map<string, string>(bodies.map((body) => [sha256(body), body]));
    await using host = await HttpHost.start(({ path }) =>
      manifestReply(content.get(path.split("/").at(-1) ?? "") ?? ""),
    );
    const failure = await failureOf(openOn(host.origin).images.resolve(sha256(bodies.at(-1) ?? ""), null, c));
    expect(failure.message).toContain("without end");
    expect(host.requests.length).toBeLessThan(6);
  });
});

describe("an image", () => {
  async function alone(config: object) {
    const body = JSON.stringify(config);
    return withIndex([{ body: imageManifest("x", sha256(body)) }], body);
  }

  test.each<[string, object, string | null]>([
    ["this platform", { os: "linux", architecture: "amd64" }, null],
    ["the one asked for", { os: "linux", architecture: "arm64", variant: "v8" }, "linux/arm64"],
    ["none in particular", {}, null],
  ])("built for %s is taken", async (_, config, platform) => {
    await using image = await alone(config);
    const digest = image.digests[0] ?? "";
    expect(await openOn(image.host.origin).images.resolve(digest, platform, c)).toMatchObject({ digest });
  });

  test("built for another machine is refused before it is pulled", async () => {
    await using image = await alone({ os: "linux", architecture: "arm64" });
    const error = await failureOf(openOn(image.host.origin).images.resolve(image.digests[0] ?? "", null, c));
    expect(error).toMatchObject({ code: "artifact-missing", retryable: false });
    expect(error.message).toContain("not for linux/amd64 but for linux/arm64");
  });

  test("whose bytes are not those of its digest is refused, and so is its configuration", async () => {
    await using lying = await HttpHost.start(({ path }) =>
      path.includes("/blobs/") ? jsonReply({ os: "linux" }) : manifestReply(manifest, path.split("/").at(-1)),
    );
    const { images } = openOn(lying.origin);
    const wanted = sha256("something else");
    expect((await failureOf(images.resolve(wanted, null, c))).message).toContain("other content");
    const config = await failureOf(images.resolve(digest, null, c));
    expect(config).toMatchObject({ code: "bad-answer" });
    expect(config.message).toContain("configuration");
  });

  test("that is gone is not-found", async () => {
    await using host = await HttpHost.start(() => notFound);
    expect((await failureOf(openOn(host.origin).images.resolve(digest, null, c))).code).toBe("not-found");
  });
});
