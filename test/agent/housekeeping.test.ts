import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cache } from "../../src/cache/cache.ts";
import { openMemoryCache } from "../../src/cache/memory.ts";
import { AgentHost } from "../support/agent-host.ts";
import { archiveOf, artifactName } from "../support/memory-registry.ts";

const c = { signal: new AbortController().signal };
const tags = (count: number) => Array.from({ length: count }, (_, index) => `v1.${index}.0`);

/** Deploys one after the other. */
function deployAll(host: AgentHost, versions: readonly string[], keep = 3): Promise<void> {
  return deployWith(host, { keep }, versions);
}

async function deployWith(
  host: AgentHost,
  changes: Parameters<AgentHost["agent"]>[0],
  versions: readonly string[],
): Promise<void> {
  const agent = host.agent(changes);
  await agent.begin(c);
  for (const tag of versions) {
    host.registry.publish(tag);
    expect(await agent.tick(c)).toMatchObject({ kind: "deployed", tag });
    await host.clock.advance(1000);
  }
}

const cached = (host: AgentHost) =>
  readdirSync(host.cacheDir)
    .filter((name) => name.includes("--") && !name.startsWith("."))
    .sort();
/** Without where they come from, which stands behind an `@`. */
const keysOf = async (cache: Cache) =>
  (await Array.fromAsync(cache.list("", c))).map(({ key }) => key.replace(/@.*/, ""));
const artifact = (tag: string) => `${tag}--${artifactName}`;

describe("after a deploy", () => {
  test("as many releases are left as are to be kept, with their artifacts", async () => {
    using host = new AgentHost();
    await deployAll(host, tags(6));
    expect(host.releases.list()).toHaveLength(3);
    expect(cached(host)).toEqual(["v1.3.0", "v1.4.0", "v1.5.0"].map(artifact));
    expect(Object.values(host.state.releases).map(({ tag }) => tag)).toEqual(["v1.3.0", "v1.4.0", "v1.5.0"]);
    expect(host.current).toBe("v1.5.0");
    expect(host.log.at("info").filter((message) => message === "Keep releases")).toHaveLength(6);
  });

  test("the active one and the one before it stay, whatever is to be kept", async () => {
    using host = new AgentHost();
    await deployAll(host, tags(4), 1);
    const { current, previous } = host.state;
    expect(host.releases.list()).toEqual([current?.release ?? "", previous?.release ?? ""]);
    expect([current?.tag, previous?.tag]).toEqual(["v1.3.0", "v1.2.0"]);
  });

  test("the cache names what runs, for people and for the original", async () => {
    using host = new AgentHost();
    await deployAll(host, tags(2));
    expect(readFileSync(join(host.cacheDir, "current"), "utf8")).toBe(artifact("v1.1.0"));
  });

  test("somebody else's files stay", async () => {
    using host = new AgentHost();
    mkdirSync(join(host.root, "releases/by-hand"));
    writeFileSync(join(host.cacheDir, "notes"), "");
    await deployAll(host, tags(5));
    expect(readdirSync(host.releases.path)).toContain("by-hand");
    expect(readdirSync(host.cacheDir)).toContain("notes");
  });

  test("a shared cache keeps everything", async () => {
    using host = new AgentHost();
    await using shared = openMemoryCache(host);
    await deployWith(host, { keep: 1, shared }, tags(4));
    expect(cached(host)).toHaveLength(2);
    expect(await keysOf(shared)).toEqual(tags(4).map(artifact));
  });

  test("with a limit the oldest artifacts leave the shared cache, but never the one that runs", async () => {
    using host = new AgentHost();
    await using shared = openMemoryCache(host);
    const bytes = archiveOf("v1.0.0").length;
    await deployWith(host, { shared, maxCacheBytes: 2 * bytes }, tags(4));
    expect(await keysOf(shared)).toEqual(["v1.2.0", "v1.3.0"].map(artifact));
    await deployWith(host, { shared, maxCacheBytes: 1 }, ["v1.4.0"]);
    expect(await keysOf(shared)).toEqual([artifact("v1.4.0")]);
  });

  test("a limit holds for a cache of this host alone too", async () => {
    using host = new AgentHost();
    await deployWith(host, { keep: 7, maxCacheBytes: 2 * archiveOf("v1.0.0").length }, tags(4));
    expect(cached(host)).toEqual(["v1.2.0", "v1.3.0"].map(artifact));
    expect(host.releases.list()).toHaveLength(4);
  });

  test("nothing here fails the deploy", async () => {
    using host = new AgentHost();
    mkdirSync(join(host.cacheDir, "current"));
    const agent = host.agent({
      keep: 1,
      cache: {
        ...host.archiveDeps().cache,
        list: () => {
          throw new Error("the cache is gone");
        },
      },
    });
    await agent.begin(c);
    for (const tag of tags(3)) {
      host.registry.publish(tag);
      expect(await agent.tick(c)).toMatchObject({ kind: "deployed" });
      await host.clock.advance(1000);
    }
    expect(host.releases.list()).toHaveLength(2);
    expect(host.log.at("warn")).toContain("Current version not written to the cache");
    expect(host.log.at("warn")).toContain("Old releases not removed");
    expect(host.log.at("error")).toEqual([]);
  });
});
