import { describe, expect, test } from "bun:test";
import { ArchiveDelivery } from "../../src/activate/archive.ts";
import type { Agent } from "../../src/agent/agent.ts";
import type { Cache } from "../../src/cache/cache.ts";
import { openMemoryCache } from "../../src/cache/memory.ts";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { shareScope } from "../../src/registry/shared/scope.ts";
import { shareRegistry } from "../../src/registry/shared/shared.ts";
import type { ReleaseFile } from "../../src/release/release.ts";
import { abortable, type Call } from "../../src/util/async.ts";
import type { Clock } from "../../src/util/time.ts";
import { AgentHost } from "../support/agent-host.ts";
import { fleetCaches } from "../support/fleet-caches.ts";
import { fasterClock } from "../support/fleet-clock.ts";
import { artifactName, MemoryRegistry } from "../support/memory-registry.ts";
import { until } from "../support/until.ts";

const ttlMs = 30_000;

/** A source that stops half-way until it is told to go on. */
class SlowRegistry extends MemoryRegistry {
  readonly #gate = Promise.withResolvers<void>();

  goOn(): void {
    this.#gate.resolve();
  }

  override async open(file: ReleaseFile, resume: unknown, c: Call) {
    const body = await super.open(file, resume, c);
    const gate = this.#gate.promise;
    const chunks = (async function* () {
      for await (const chunk of body.chunks) {
        yield chunk.subarray(0, chunk.length / 2);
        await abortable(gate, c.signal);
        yield chunk.subarray(chunk.length / 2);
      }
    })();
    return { ...body, chunks };
  }
}

/** What a process that was killed has of a cache: nothing it would still do is done. */
function mortal(cache: Cache, isDead: () => boolean): Cache {
  const alive = <T>(work: () => Promise<T>): Promise<T> =>
    isDead() ? Promise.reject(new DewyError("network-unreachable", "killed")) : work();
  return {
    maxValueBytes: cache.maxValueBytes,
    maxFileBytes: cache.maxFileBytes,
    get: (key, c) => alive(() => cache.get(key, c)),
    compareAndSwap: (key, body, expected, c) => alive(() => cache.compareAndSwap(key, body, expected, c)),
    putFile: (key, file, c) => alive(() => cache.putFile(key, file, c)),
    fetchFile: (key, path, c) => alive(() => cache.fetchFile(key, path, c)),
    delete: (key, c) => alive(() => cache.delete(key, c)),
    list: (prefix, c) => cache.list(prefix, c),
    async [Symbol.asyncDispose]() {},
  };
}

class FleetHost implements Disposable {
  readonly host = new AgentHost();
  readonly agent: Agent;
  readonly #stop = new AbortController();
  #dead = false;

  constructor(
    cache: Cache,
    upstream: { readonly registry: Registry; readonly source: MemoryRegistry },
    options: { readonly name: string; readonly slot: string | null; readonly clock: Clock },
  ) {
    const { name, slot, clock } = options;
    const { log } = this.host;
    const shared = mortal(cache, () => this.#dead);
    const platform = { os: "linux", arch: "amd64" } as const;
    const scope = shareScope({
      host: "web1",
      registry: "memory:///registry",
      slot,
      calver: null,
      platform,
      env: {},
    });
    const registry = shareRegistry(
      upstream.registry,
      shared,
      { scope, ttlMs, staleMaxMs: 86_400_000, owner: `${name}/1/x` },
      { clock, log, random: Math.random },
    );
    const { source } = upstream;
    const delivery = new ArchiveDelivery({ ...this.host.archiveDeps(), source, shared, clock });
    this.agent = this.host.agentOf({ ...this.host.deps(), registry, delivery, clock, report: false });
  }

  tick() {
    return this.agent.tick({ signal: this.#stop.signal });
  }

  die(): void {
    this.#dead = true;
    this.#stop.abort(new Error("killed"));
  }

  get waits(): boolean {
    return this.host.log.at("info").includes("Waiting for another host's download");
  }

  get downloaded(): boolean {
    return this.host.told.includes("downloaded");
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
  }
}

class Fleet implements Disposable {
  readonly upstream = new SlowRegistry();
  readonly hosts: readonly FleetHost[];

  constructor(cache: Cache, count: number) {
    const upstream = { registry: this.upstream, source: this.upstream };
    // Leases of three seconds, so that a machine under load kills nobody.
    const clock = fasterClock(10);
    this.hosts = Array.from(
      { length: count },
      (_, n) => new FleetHost(cache, upstream, { name: `web${n}`, slot: null, clock }),
    );
  }

  get downloader(): FleetHost | undefined {
    return this.hosts.find((host) => !host.waits);
  }

  get currents(): (string | null)[] {
    return this.hosts.map(({ host }) => host.current);
  }

  [Symbol.dispose](): void {
    for (const host of this.hosts) host[Symbol.dispose]();
  }
}

async function memoryCache() {
  const cache = openMemoryCache({ log: silentLog });
  return { cache, [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose]() };
}

describe("a new release for twenty agents that share a cache", () => {
  test.each([
    ["memory", memoryCache],
    ["redis", fleetCaches.redis],
    ["s3", fleetCaches.s3],
  ] as const)("(%s) is downloaded once, and once more by none", async (_, open) => {
    await using opened = await open();
    using fleet = new Fleet(opened.cache, 20);
    fleet.upstream.publish("v1.0.0");
    const ticks = fleet.hosts.map((host) => host.tick());
    await until("all but one wait", () => fleet.hosts.filter(({ waits }) => waits).length === 19);
    await until("one downloads", () => fleet.upstream.opened === 1);
    fleet.upstream.goOn();
    const outcomes = await Promise.all(ticks);
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(["deployed"]));
    expect(new Set(fleet.currents)).toEqual(new Set(["v1.0.0"]));
    expect(fleet.upstream.opened).toBe(1);
    expect(fleet.hosts.filter(({ downloaded }) => downloaded)).toHaveLength(1);
    expect(fleet.hosts.flatMap(({ host }) => [...host.log.at("warn"), ...host.log.at("error")])).toEqual([]);
    const left = await Array.fromAsync(
      opened.cache.list("dewy-lease/", { signal: AbortSignal.timeout(40_000) }),
    );
    expect(left).toEqual([]);
  });

  test("whose downloader dies half-way is downloaded once more", async () => {
    await using opened = await memoryCache();
    using fleet = new Fleet(opened.cache, 20);
    fleet.upstream.publish("v1.0.0");
    const ticks = fleet.hosts.map((host) => host.tick().catch((error: unknown) => error));
    await until("all but one wait", () => fleet.hosts.filter(({ waits }) => waits).length === 19);
    const dead = fleet.downloader;
    dead?.die();
    await until("another host took over", () => fleet.upstream.opened === 2);
    fleet.upstream.goOn();
    await Promise.all(ticks);
    expect(fleet.upstream.opened).toBe(2);
    expect(dead?.host.current).toBeNull();
    expect(fleet.currents.filter((tag) => tag === "v1.0.0")).toHaveLength(19);
  });
});

/** One release of many, as a host's selection has it. */
function choosing(registry: MemoryRegistry, tag: () => string): Registry {
  return {
    latest: async () => ({ release: await registry.find(tag()), otherSlot: null }),
    find: (name) => registry.find(name),
    report: (record) => registry.report(record),
    minIntervalMs: () => 0,
    async [Symbol.asyncDispose]() {},
  };
}

describe("two hosts that share a cache", () => {
  const [blue, green] = ["v1.0.0+blue", "v1.1.0+green"];

  test("with different versions never disturb each other", async () => {
    await using opened = await memoryCache();
    const source = new MemoryRegistry();
    for (const tag of [blue, green]) source.publish(tag);
    const host = (name: string, slot: string, tag: string) =>
      new FleetHost(
        opened.cache,
        { registry: choosing(source, () => tag), source },
        { name, slot, clock: fasterClock(10) },
      );
    using web1 = host("web1", "blue", blue);
    using web2 = host("web2", "green", green);
    for (let tick = 0; tick < 3; tick++) {
      await web1.tick();
      await web2.tick();
    }
    expect([web1.host.current, web2.host.current]).toEqual([blue, green]);
    expect([web1.host.history.read().length, web2.host.history.read().length]).toEqual([1, 1]);
    const keys = (await Array.fromAsync(opened.cache.list("", { signal: AbortSignal.timeout(40_000) }))).map(
      ({ key }) => key,
    );
    const artifacts = keys.filter((key) => key.includes("--")).map((key) => key.replace(/@.*/, ""));
    expect(artifacts.sort()).toEqual([`${blue}--${artifactName}`, `${green}--${artifactName}`]);
    expect(keys.filter((key) => /^dewy-registry\/v1\/[0-9a-f]{64}$/.test(key))).toHaveLength(2);
    expect(keys).toHaveLength(4);
  });

  test("of one selection keep to themselves what failed on one of them", async () => {
    await using opened = await memoryCache();
    const source = new MemoryRegistry();
    let tag = "v1.0.0";
    for (const name of ["v1.0.0", "v1.1.0"]) source.publish(name);
    const host = (name: string) =>
      new FleetHost(
        opened.cache,
        { registry: choosing(source, () => tag), source },
        { name, slot: null, clock: fasterClock(1000) },
      );
    using web1 = host("web1");
    using web2 = host("web2");
    for (const each of [web1, web2]) expect(await each.tick()).toEqual({ kind: "deployed", tag: "v1.0.0" });
    tag = "v1.1.0";
    web1.host.app.startFailure = () => new DewyError("start-failed", "exited with code 1");
    await until(
      "the new release has failed on one of them",
      async () => (await web1.tick()).kind === "failed",
    );
    await until("it runs on the other", async () => (await web2.tick()).kind === "deployed");
    await web1.tick();
    await web2.tick();
    expect([web1.host.current, web2.host.current]).toEqual(["v1.0.0", "v1.1.0"]);
    expect([web1.host.state.current?.tag, web2.host.state.current?.tag]).toEqual(["v1.0.0", "v1.1.0"]);
    expect(web2.host.state.quarantine).toEqual([]);
    expect(source.opened).toBe(2);
  });
});
