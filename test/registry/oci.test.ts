import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HttpClient } from "../../src/http/client.ts";
import { silentLog } from "../../src/log.ts";
import { openOciRegistry, parseOciUrl } from "../../src/registry/oci.ts";
import type { SelectPolicy } from "../../src/release/select.ts";
import { systemClock } from "../../src/util/time.ts";
import { c, failureOf, openOn } from "../oci/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import { pushImage, pushIndex } from "../support/oci-image.ts";
import { deleteTag } from "../support/oci-push.ts";
import { type OciRegistry, startOciRegistry } from "../support/oci-registry.ts";
import { contractPlatform, registryContract } from "./contract.ts";

const none = { slot: null, calver: null };
let registry: OciRegistry;
let repositories = 0;

beforeAll(async () => {
  registry = await startOciRegistry();
});
afterAll(() => registry[Symbol.asyncDispose]());

/** A repository that exists and has no tags. */
async function emptyRepository(): Promise<string> {
  const name = `team/app${++repositories}`;
  await pushImage(registry, name, "v0.0.0");
  await deleteTag(registry, name, "v0.0.0");
  return name;
}

function push(name: string, tag: string, content: string = tag) {
  return pushImage(registry, name, tag, { files: [{ path: "version", content: `${tag} ${content}` }] });
}

const repositoryOf = new WeakMap<object, string>();
registryContract(
  "an OCI registry",
  async () => {
    const name = await emptyRepository();
    const fixture = {
      publish: async (tag: string, files: Readonly<Record<string, string>>) => {
        await push(name, tag, JSON.stringify(files));
      },
      remove: (tag: string) => deleteTag(registry, name, tag),
      reports: async () => {
        const answer = await fetch(`${registry.origin}/v2/${name}/tags/list`);
        return (await answer.text()).match(/shipped_to[^"]*/g) ?? [];
      },
      open: async (policy: SelectPolicy) => {
        const options = parseOciUrl(new URL(`img://${registry.host}/${name}`), none);
        const http = new HttpClient({ clock: systemClock, log: silentLog, userAgent: "dewy/0" });
        const deps = { platform: contractPlatform, http, clock: systemClock, log: silentLog, env: {} };
        const opened = openOciRegistry({ ...options, follow: { kind: "versions", policy } }, deps);
        return { registry: opened.registry, source: null };
      },
      async [Symbol.asyncDispose]() {},
    };
    repositoryOf.set(fixture, name);
    return fixture;
  },
  {
    why: "an engine pulls them, and a registry of images has no place for reports",
    artifactName: (fixture, tag) =>
      `${registry.host}/${repositoryOf.get(fixture)}:${tag.replaceAll("+", "_")}`,
  },
);

describe("the URL", () => {
  test.each(["img", "docker"])("%s:// chooses among versions", (scheme) => {
    const query = "?pre-release=true&constraint=~1.4&insecure=true";
    const { repository, follow } = parseOciUrl(new URL(`${scheme}://reg.example/app${query}`), none);
    expect(repository).toMatchObject({ host: "reg.example", transport: "clear-asked" });
    if (follow.kind !== "versions") throw new Error("not versions");
    expect(follow.policy).toMatchObject({ preRelease: true, slot: null });
    expect(follow.policy.scheme.parse("v1.5.0")?.satisfies).toBe(false);
  });

  test("follows one tag", () => {
    expect(parseOciUrl(new URL("img://reg.example/app?tag=latest"), none).follow).toEqual({
      kind: "tag",
      tag: "latest",
    });
  });

  test.each<[string, object, RegExp]>([
    ["?artifact=app.tar.gz", none, /tag=NAME/],
    ["?nonsense=1", none, /known parameters: pre-release/],
    ["?tag=", none, /known parameters/],
    ["?tag=a+b", none, /known parameters/],
    ["?tag=a&tag=b", none, /known parameters/],
    ["?tag=a&constraint=1", none, /follows one tag/],
    ["?tag=a&pre-release=false", none, /follows one tag/],
    ["?tag=a&calver=YYYY.MM", none, /follows one tag/],
    ["?tag=a", { slot: "blue", calver: null }, /follows one tag/],
    ["?tag=a", { slot: null, calver: "YYYY.MM" }, /follows one tag/],
    ["?constraint=nonsense", none, /constraint/],
    ["?constraint=1&calver=YYYY.MM", none, /semver range/],
    ["?insecure=perhaps", none, /known parameters/],
  ])("with %s and %j is refused", async (query, host, hint) => {
    const url = new URL(`img://reg.example/app${query}`);
    const error = await failureOf(() => parseOciUrl(url, host as typeof none));
    expect(error).toMatchObject({ code: "config-invalid", hint: expect.stringMatching(hint) });
  });
});

describe("a moving tag", () => {
  test("is the same release until it means another image", async () => {
    const name = await emptyRepository();
    const first = await push(name, "latest", "1");
    const opened = openOn(registry.host, { name, query: "?tag=latest" }).registry;
    const expected = {
      tag: "latest",
      moving: true,
      artifact: { digest: first.digest, revision: first.digest },
    };
    expect((await opened.latest(c)).release).toMatchObject(expected);
    const second = await push(name, "latest", "2");
    expect((await opened.latest(c)).release?.artifact?.digest).toBe(second.digest);
    expect(await opened.find("latest", c)).toMatchObject({ moving: true });
  });

  test("that is not there is an error with a hint, until it is", async () => {
    const name = await emptyRepository();
    const opened = openOn(registry.host, { name, query: "?tag=stable" }).registry;
    expect(await failureOf(opened.latest(c))).toMatchObject({ code: "not-found", retryable: true });
    await push(name, "stable");
    expect((await opened.latest(c)).release?.tag).toBe("stable");
  });
});

describe("a version", () => {
  test("is no moving tag, and is named as the engine shall pull it", async () => {
    const name = await emptyRepository();
    const { digest } = await push(name, "v1.0.0+blue");
    const { registry: opened, images } = openOn(registry.host, { name, slot: "blue" });
    const image = `${registry.host}/${name}:v1.0.0_blue`;
    const artifact = { name: image, url: `img://${image}`, sizeBytes: null, digest, revision: digest };
    expect((await opened.latest(c)).release).toEqual({
      tag: "v1.0.0+blue",
      createdAt: null,
      artifact: artifact,
      files: [artifact],
    });
    expect(images.repository).toBe(`${registry.host}/${name}`);
  });

  test("that is published again has another digest", async () => {
    const name = await emptyRepository();
    const opened = openOn(registry.host, { name }).registry;
    for (const content of ["1", "2"]) {
      const { digest } = await push(name, "v1.0.0", content);
      expect((await opened.latest(c)).release?.artifact?.digest).toBe(digest);
    }
  });

  test.each<[string, string, string]>([
    ["YYYY_0M_0D", "2026_10_02", "2026_10_02"],
    ["YYYY_0M_0D", "2026_10_02_blue", "2026_10_02+blue"],
    ["YYYY.0M.0D.MICRO", "2026.10.02.1_blue", "2026.10.02.1+blue"],
  ])("by %s: the tag %s is %s", async (calver, wireTag, tag) => {
    const name = await emptyRepository();
    await push(name, wireTag);
    const opened = openOn(registry.host, { name, calver }).registry;
    const { release } = await opened.latest(c);
    expect(release).toMatchObject({ tag, artifact: { name: `${registry.host}/${name}:${wireTag}` } });
    expect(await opened.find(tag, c)).toEqual(release);
  });

  test.each(["", "a/b", "../v1.0.0", "v1.0.0?x", "x".repeat(200)])("find gives null for %j", async (tag) => {
    const name = await emptyRepository();
    expect(await openOn(registry.host, { name }).registry.find(tag, c)).toBeNull();
  });

  test("for several platforms is the digest of its index, and resolves to this platform", async () => {
    const name = await emptyRepository();
    const arm = { os: "linux", architecture: "arm64", variant: "v8" };
    const index = await pushIndex(registry, name, "v1.0.0", [
      { files: [{ path: "a", content: "amd64" }], platform: { os: "linux", architecture: "amd64" } },
      { files: [{ path: "a", content: "arm64" }], platform: arm },
    ]);
    const { registry: opened, images } = openOn(registry.host, {
      name,
      platform: { os: "linux", arch: "arm64" },
    });
    const digest = (await opened.latest(c)).release?.artifact?.digest;
    expect(digest).toBe(index.digest);
    expect<unknown>((await images.resolve(index.digest, null, c)).digest).toBe(index.manifests[1]?.digest);
    expect<unknown>((await images.resolve("v1.0.0", "linux/amd64", c)).digest).toBe(
      index.manifests[0]?.digest,
    );
    expect((await failureOf(images.resolve("v1.0.0", "linux/s390x", c))).code).toBe("artifact-missing");
  });

  test.each(["oci", "docker"] as const)("with %s media types is found and resolved", async (mediaTypes) => {
    const name = await emptyRepository();
    const files = [{ path: "a", content: "x" }];
    const { digest } = await pushImage(registry, name, "v1.0.0", { files, mediaTypes });
    const { registry: opened, images } = openOn(registry.host, { name });
    expect((await opened.latest(c)).release?.artifact?.digest).toBe(digest);
    expect(await images.resolve("v1.0.0", null, c)).toMatchObject({ digest });
  });
});

describe("a registry", () => {
  test("without the repository is an error with a hint", async () => {
    const error = await failureOf(openOn(registry.host, { name: "no/such" }).registry.latest(c));
    expect(error).toMatchObject({
      code: "not-found",
      retryable: true,
      hint: expect.stringContaining("name"),
    });
  });

  test("that is down is a network failure, and found again", async () => {
    await using own = await startOciRegistry();
    await pushImage(own, "app/web", "v1.0.0");
    const clock = new FakeClock();
    const opened = openOn(own.host, { name: "app/web", clock }).registry;
    await own.stop();
    expect((await failureOf(opened.latest(c))).code).toBe("network-unreachable");
    await own.restart();
    await clock.advance(60_000);
    expect((await opened.latest(c)).release?.tag).toBe("v1.0.0");
  });

  test("has no least time between polls", () => {
    expect(openOn(registry.host).registry.minIntervalMs()).toBe(0);
  });
});
