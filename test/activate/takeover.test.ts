import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { placedByOriginal } from "../../src/activate/takeover.ts";
import { AgentHost } from "../support/agent-host.ts";

const c = { signal: new AbortController().signal };
const release = "20240115T103045Z";
const releasedAt = new Date("2024-01-15T10:30:45Z");
const key = "v1.2.3--app_linux_amd64.tar.gz";
const sha256 = `sha256:${new Bun.CryptoHasher("sha256").update("the artifact").digest("hex")}`;

interface Left {
  readonly link?: "absolute" | "relative" | "none";
  readonly key?: string | null;
  /** When the artifact came into the cache; null: it is not there. */
  readonly artifactAt?: Date | null;
}

/** A working directory as the Go original leaves it. */
function leave(host: AgentHost, left: Left = {}): void {
  const { link = "absolute", artifactAt = releasedAt } = left;
  mkdirSync(join(host.root, "releases", release));
  const target = link === "absolute" ? join(host.root, "releases", release) : `releases/${release}`;
  if (link !== "none") symlinkSync(target, join(host.root, "current"));
  if (left.key !== null) writeFileSync(join(host.cacheDir, "current"), left.key ?? key);
  if (artifactAt === null) return;
  writeFileSync(join(host.cacheDir, key), "the artifact");
  utimesSync(join(host.cacheDir, key), artifactAt, artifactAt);
}

const found = (host: AgentHost) => placedByOriginal(host.releases, host.cacheDir, host.log, c);

describe("what the Go original left running", () => {
  test.each<[string, Left]>([
    ["an absolute link, as the original makes it", {}],
    ["a relative link", { link: "relative" }],
    ["a key with a newline, written by hand", { key: `${key}\n` }],
    ["an artifact of the same second", { artifactAt: new Date(releasedAt.getTime() + 999) }],
  ])("is recognised: %s", async (_, left) => {
    using host = new AgentHost();
    leave(host, left);
    expect(await found(host)).toEqual({
      tag: "v1.2.3",
      digest: sha256 as `sha256:${string}`,
      artifact: "app_linux_amd64.tar.gz",
      release,
      since: "2024-01-15T10:30:45.000Z",
    });
    expect(host.log.at("info")).toEqual(["Took over the running version"]);
  });

  test("is recognised without its artifact, whose digest is not known then", async () => {
    using host = new AgentHost();
    leave(host, { artifactAt: null });
    expect(await found(host)).toMatchObject({ tag: "v1.2.3", digest: null });
  });

  test.each<[string, Left, string[]]>([
    ["no link: nothing was ever active", { link: "none" }, []],
    ["no key", { key: null }, ["Release found, but not its version; the newest is deployed"]],
    ["a key that is none", { key: "v1.2.3" }, ["Release found, but not its version; the newest is deployed"]],
    ["an empty key", { key: "" }, ["Release found, but not its version; the newest is deployed"]],
    [
      "a key ahead of the release: a crash between download and extraction",
      { artifactAt: new Date(releasedAt.getTime() + 60_000) },
      ["The recorded version was never put in place; it is deployed again"],
    ],
  ])("is not taken over: %s", async (_, left, warnings) => {
    using host = new AgentHost();
    leave(host, left);
    expect(await found(host)).toBeNull();
    expect(host.log.at("warn")).toEqual(warnings);
  });
});

describe("an agent that starts where the original ran", () => {
  test("goes on with the version that runs: no deploy, and the original could go on too", async () => {
    using host = new AgentHost();
    leave(host);
    host.registry.publish("v1.2.3");
    const agent = host.agent();
    await agent.begin(c);
    expect(host.app.resumed).toEqual([release]);
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.state.current).toMatchObject({ tag: "v1.2.3", release });
    expect(await Bun.file(join(host.cacheDir, "current")).text()).toBe(key);
    host.registry.publish("v1.3.0");
    expect(await agent.tick(c)).toMatchObject({ kind: "deployed", tag: "v1.3.0" });
    expect(host.releases.has(release)).toBe(true);
  });

  test("serves a release it can't name, and deploys the newest over it", async () => {
    using host = new AgentHost();
    leave(host, { key: null });
    host.registry.publish("v1.2.3");
    const agent = host.agent();
    await agent.begin(c);
    expect(host.app.resumed).toEqual(["20240115T103045Z"]);
    expect(await agent.tick(c)).toMatchObject({ kind: "deployed", tag: "v1.2.3" });
  });
});
