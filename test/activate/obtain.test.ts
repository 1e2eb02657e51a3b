import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { forgetArtifact, obtainArtifact } from "../../src/activate/obtain.ts";
import type { Cache } from "../../src/cache/cache.ts";
import { DewyError } from "../../src/errors.ts";
import type { DeployableRelease, Digest } from "../../src/release/release.ts";
import { AgentHost } from "../support/agent-host.ts";
import { FleetCache } from "../support/fleet.ts";
import { archiveOf, artifactName } from "../support/memory-registry.ts";

const c = { signal: new AbortController().signal };
const digestOf = (bytes: Uint8Array): Digest =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
const good = archiveOf("good");
const key = `v1.0.0--${artifactName}`;

async function release(host: AgentHost): Promise<DeployableRelease> {
  const { release: found } = await host.registry.latest(c);
  if (!found?.artifact) throw new Error("nothing published");
  return { ...found, artifact: found.artifact };
}

async function obtain(host: AgentHost, changes: { cache?: Cache; shared?: Cache } = {}) {
  const deps = { ...host.archiveDeps(), ...changes };
  return obtainArtifact(await release(host), deps, c);
}

const leftovers = (host: AgentHost) => readdirSync(join(host.root, ".dewy/tmp"));

const published = { digest: digestOf(good) };

describe("an artifact", () => {
  test("is downloaded into the cache once, and comes from there then", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, { digest: digestOf(good) });
    {
      using first = await obtain(host);
      expect(first).toMatchObject({ digest: digestOf(good), fromCache: false });
      expect(readFileSync(first.path)).toEqual(Buffer.from(good));
      expect(first.path).toEndWith(".zip");
    }
    expect(leftovers(host)).toEqual([]);
    const before = host.registry.opened;
    using second = await obtain(host);
    expect(second).toMatchObject({ digest: digestOf(good), fromCache: true });
    expect(host.registry.opened).toBe(before);
  });

  test.each<[string, Uint8Array, Parameters<AgentHost["registry"]["publish"]>[2]]>([
    ["the registry's digest", archiveOf("evil"), { digest: digestOf(good) }],
    ["a checksum file", archiveOf("evil"), { sums: `${digestOf(good).slice(7)}  ${artifactName}\n` }],
  ])("that is not what %s says reaches neither the cache nor the disk", async (_, bytes, about) => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", bytes, about);
    await expect(obtain(host)).rejects.toMatchObject({ code: "digest-mismatch", blame: "release" });
    expect(existsSync(join(host.cacheDir, key))).toBe(false);
    expect(leftovers(host)).toEqual([]);
  });

  test("that went bad in the cache is dropped there and downloaded", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, { digest: digestOf(good) });
    writeFileSync(join(host.cacheDir, key), Buffer.alloc(good.length, 1));
    using obtained = await obtain(host);
    expect(obtained).toMatchObject({ digest: digestOf(good), fromCache: false });
    expect(host.log.at("warn")).toEqual(["Cached artifact not usable; downloading it"]);
    expect(readFileSync(join(host.cacheDir, key))).toEqual(Buffer.from(good));
  });

  test("with another size than published is not taken from the cache", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good);
    writeFileSync(join(host.cacheDir, key), "of an earlier publication");
    using obtained = await obtain(host);
    expect(obtained).toMatchObject({ digest: digestOf(good), fromCache: false });
  });

  test("comes although the cache fails in every way", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good);
    const broken = async () => {
      throw new DewyError("network-unreachable", "the cache is down");
    };
    const cache = { ...host.archiveDeps().cache, fetchFile: broken, putFile: broken, delete: broken };
    using obtained = await obtain(host, { cache });
    expect(obtained.digest).toBe(digestOf(good));
    expect(host.log.at("warn")).toEqual([
      "Cache not usable; downloading the artifact",
      "Artifact not cached",
    ]);
  });

  test("with a name that leads elsewhere stays where work in progress is", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good);
    const { artifact, ...rest } = await release(host);
    const named = { ...rest, artifact: { ...artifact, name: "../../../outside.zip" } };
    using obtained = await obtainArtifact(named, host.archiveDeps(), c);
    expect(obtained.path).toStartWith(join(host.root, ".dewy/tmp/"));
    expect(existsSync(join(host.root, "outside.zip"))).toBe(false);
  });

  test("left by a killed agent does not stand in the way", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good);
    await Bun.write(join(host.root, ".dewy/tmp", artifactName), "half");
    using obtained = await obtain(host);
    expect(obtained.digest).toBe(digestOf(good));
  });
});

describe("an artifact with a cache that hosts share", () => {
  test("is downloaded into that and this host's own", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, published);
    const shared = new FleetCache();
    using obtained = await obtain(host, { shared });
    expect(obtained).toMatchObject({ digest: digestOf(good), fromCache: false });
    expect(shared.keys).toEqual([key]);
    expect(readFileSync(join(host.cacheDir, key))).toEqual(Buffer.from(good));
    expect(host.log.at("info")).toEqual(["Cached artifact"]);
  });

  test("is taken from that into this host's own, and from there once that is gone", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, { digest: digestOf(good) });
    const shared = new FleetCache();
    shared.write(key, good);
    {
      using first = await obtain(host, { shared });
      expect(first).toMatchObject({ digest: digestOf(good), fromCache: true });
      expect(readFileSync(first.path)).toEqual(Buffer.from(good));
    }
    shared.trouble = { fetchFile: "fails", get: "fails" };
    using second = await obtain(host, { shared });
    expect(second).toMatchObject({ digest: digestOf(good), fromCache: true });
    expect(host.registry.opened).toBe(0);
    expect(host.log.at("warn")).toEqual([]);
  });

  test.each<[string, Uint8Array, { digest?: Digest }]>([
    ["other bytes", archiveOf("evil"), { digest: digestOf(good) }],
    ["another size", Buffer.from("of an earlier publication"), published],
  ])("that has %s there is replaced there", async (_, bytes, about) => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, about);
    const shared = new FleetCache();
    shared.write(key, bytes);
    using obtained = await obtain(host, { shared });
    expect(obtained).toMatchObject({ digest: digestOf(good), fromCache: false });
    expect(shared.calls).toMatchObject({ delete: 2, putFile: 1 }); // of the bytes, and of the lease
    expect(shared.textOf(key)).toBe(Buffer.from(good).toString("utf8"));
  });

  test("that went bad in this host's own is taken from there", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, { digest: digestOf(good) });
    writeFileSync(join(host.cacheDir, key), Buffer.alloc(good.length, 1));
    const shared = new FleetCache();
    shared.write(key, good);
    using obtained = await obtain(host, { shared });
    expect(obtained).toMatchObject({ digest: digestOf(good), fromCache: true });
    expect(readFileSync(join(host.cacheDir, key))).toEqual(Buffer.from(good));
  });

  test("is removed from no cache that can't be reached", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, published);
    const [cache, shared] = [new FleetCache(), new FleetCache()];
    for (const each of [cache, shared]) {
      each.write(key, good);
      each.trouble = { fetchFile: "fails" };
    }
    using obtained = await obtain(host, { cache, shared });
    expect(obtained).toMatchObject({ digest: digestOf(good), fromCache: false });
    expect([cache.calls.delete, shared.calls.delete]).toEqual([0, 0]);
    expect([cache.keys, shared.keys]).toEqual([[key], [key]]);
  });

  test("comes although that cache fails in every way", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, published);
    const shared = new FleetCache();
    shared.trouble = {
      get: "fails",
      compareAndSwap: "fails",
      fetchFile: "fails",
      putFile: "fails",
      list: "fails",
    };
    using obtained = await obtain(host, { shared });
    expect(obtained).toMatchObject({ digest: digestOf(good), fromCache: false });
    expect(host.log.at("warn")).toEqual(["Cache not usable; downloading the artifact"]);
  });

  test("that does not get there comes all the same", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, published);
    const shared = new FleetCache();
    shared.trouble = { putFile: "fails" };
    using obtained = await obtain(host, { shared });
    expect(obtained.digest).toBe(digestOf(good));
    expect(shared.textOf(`dewy-lease/${key}`)).toContain("unshared");
  });

  test("too large for that cache is waited for by nobody", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, published);
    const shared = new FleetCache();
    shared.maxFileBytes = 1;
    using obtained = await obtain(host, { shared });
    expect(obtained.digest).toBe(digestOf(good));
    expect(shared.keys).toEqual([]);
    expect(shared.calls).toMatchObject({ compareAndSwap: 0, putFile: 1 });
    expect(host.log.at("warn")).toEqual([]);
  });

  test("is not offered again to a cache that failed a moment ago", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good, published);
    const shared = new FleetCache();
    const swap = shared.compareAndSwap.bind(shared);
    shared.compareAndSwap = (...call) => {
      // Down from the moment on in which this host may download.
      shared.trouble = { fetchFile: "fails", putFile: "fails" };
      return swap(...call);
    };
    using obtained = await obtain(host, { shared });
    expect(obtained.digest).toBe(digestOf(good));
    expect(shared.calls).toMatchObject({ fetchFile: 2, putFile: 0 });
  });
});

describe("an artifact of which nobody published what it must be", () => {
  test("is shared only among those that take it from the same place in the same revision", async () => {
    const shared = new FleetCache();
    using one = new AgentHost();
    one.registry.publish("v1.0.0", good);
    using first = await obtain(one, { shared });
    using same = new AgentHost();
    same.registry.publish("v1.0.0", good);
    using again = await obtain(same, { shared });
    expect([first.fromCache, again.fromCache]).toEqual([false, true]);
    using other = new AgentHost();
    other.registry.publish("v1.0.0", archiveOf("an app of the same name"));
    other.registry.publish("v1.0.0", archiveOf("an app of the same name"));
    using different = await obtain(other, { shared });
    expect(different).toMatchObject({
      digest: digestOf(archiveOf("an app of the same name")),
      fromCache: false,
    });
    expect(shared.keys).toHaveLength(2);
  });

  test("is forgotten in this host's cache when it is published anew, and not in the fleet's", async () => {
    const shared = new FleetCache();
    using host = new AgentHost();
    host.registry.publish("v1.0.0", good);
    const wanted = await release(host);
    (await obtain(host, { shared }))[Symbol.dispose]();
    const { cache } = host.archiveDeps();
    await forgetArtifact(wanted, { cache }, c);
    expect(shared.keys).toHaveLength(1);
    expect(existsSync(join(host.cacheDir, key))).toBe(false);
  });
});
