import { describe, expect, test } from "bun:test";
import { downloadOnce, type Taken, type Wanted } from "../../src/activate/download-once.ts";
import { DewyError } from "../../src/errors.ts";
import type { Digest } from "../../src/release/release.ts";
import { FleetCache, seededRandom } from "../support/fleet.ts";
import { FleetClock } from "../support/fleet-clock.ts";
import { recordingLog } from "../support/recording.ts";

const digest: Digest = `sha256:${"a".repeat(64)}`;
const key = "v1.0.0--app.zip";
const lease = `dewy-lease/${key}`;
const leaseMs = 30_000;

/** Hosts that want one artifact, and the cache that they share. */
class World {
  readonly clock = new FleetClock();
  readonly cache = new FleetCache();
  /** When downloads began, and on which host. */
  readonly downloads: { readonly host: string; readonly atMs: number }[] = [];
  downloadMs = 5000;
  /** What a host's download fails with. */
  failure: (host: string) => unknown = () => null;
  /** What a host finds instead of what is there. */
  found: (host: string) => Taken | null = () => null;

  host(name: string, seed = 1) {
    const log = recordingLog();
    const wanted: Wanted = {
      key,
      take: async () => this.found(name) ?? this.#stored(),
      download: async (c) => {
        this.downloads.push({ host: name, atMs: this.clock.monotonicMs() });
        await this.clock.sleep(this.downloadMs, c.signal);
        const failure = this.failure(name);
        if (failure !== null) throw failure;
        return digest;
      },
      share: async () => {
        if (this.cache.trouble.putFile === "fails" || this.cache.maxFileBytes < 1) return false;
        this.cache.write(key, "bytes");
        return true;
      },
    };
    const stop = new AbortController();
    const { clock, cache: shared } = this;
    const deps = { shared, owner: name, clock, log, random: seededRandom(seed) };
    const arrived = downloadOnce(wanted, deps, stop).catch((error: unknown) => error);
    return { name, log, stop, arrived };
  }

  hosts(count: number) {
    return Array.from({ length: count }, (_, n) => this.host(`web${n}`, n));
  }

  get hostsThatDownloaded(): string[] {
    return this.downloads.map(({ host }) => host);
  }

  #stored(): Taken {
    return this.cache.textOf(key) === null ? { kind: "miss" } : { kind: "hit", digest };
  }
}

const cacheHit = { digest, fromCache: true };
const downloaded = { digest, fromCache: false };

describe("an artifact that many hosts want", () => {
  test("is downloaded by one; the others say that they wait, and take it when it is there", async () => {
    const world = new World();
    const hosts = world.hosts(20);
    await world.clock.advance(world.downloadMs + 2000);
    const arrivals = await Promise.all(hosts.map(({ arrived }) => arrived));
    expect(arrivals).toEqual([downloaded, ...Array.from({ length: 19 }, () => cacheHit)]);
    expect(world.downloads).toHaveLength(1);
    expect(hosts.map(({ log }) => log.at("info"))).toEqual([
      [],
      ...Array.from({ length: 19 }, () => ["Waiting for another host's download"]),
    ]);
    expect(hosts[1]?.log.records[0]?.attributes).toEqual({ cache_key: key, host: "web0" });
    expect(world.cache.keys).toEqual([key]);
  });

  test("and is there already needs no lease", async () => {
    const world = new World();
    world.cache.write(key, "bytes");
    expect(await world.host("web1").arrived).toEqual(cacheHit);
    expect(world.cache.calls.compareAndSwap).toBe(0);
  });

  test("takes hours: the others wait for half of one, then help themselves, not all at once", async () => {
    const world = new World();
    world.downloadMs = 2 * 3_600_000;
    const hosts = world.hosts(10);
    await world.clock.advance(29 * 60_000);
    expect(world.downloads).toHaveLength(1);
    await world.clock.advance(13 * 60_000);
    expect(world.downloads).toHaveLength(10);
    const begun = world.downloads.slice(1).map(({ atMs }) => Math.round(atMs / 60_000));
    expect(new Set(begun).size).toBeGreaterThan(4);
    await world.clock.advance(world.downloadMs);
    expect(await Promise.all(hosts.map(({ arrived }) => arrived))).not.toContain(undefined);
  });

  test("whose downloader dies is downloaded by one of the others", async () => {
    const world = new World();
    const [first, ...others] = world.hosts(20);
    await world.clock.advance(2500);
    // A dead process neither renews nor gives back.
    world.cache.trouble = { compareAndSwap: "fails" };
    first?.stop.abort(new Error("killed"));
    await first?.arrived;
    world.cache.trouble = {};
    expect(world.cache.keys).toEqual([lease]);
    await world.clock.advance(leaseMs + 4000 + world.downloadMs);
    for (const { arrived } of others) expect(await arrived).toMatchObject({ digest });
    expect(world.downloads).toHaveLength(2);
    expect(world.downloads[1]?.atMs).toBeWithin(leaseMs, leaseMs + 5000);
  });

  test("whose downloader is told to stop is taken over without waiting for the lease to run out", async () => {
    const world = new World();
    const [first, second] = world.hosts(2);
    await world.clock.advance(2500);
    first?.stop.abort(new Error("told to stop"));
    expect(await first?.arrived).toEqual(new Error("told to stop"));
    await world.clock.advance(2000 + world.downloadMs);
    expect(await second?.arrived).toEqual(downloaded);
  });

  test("whose downloader fails is tried by one after the other, never by all at once", async () => {
    const world = new World();
    world.failure = (host) => (host === "web0" ? new DewyError("disk-full", "no space") : null);
    const [first, ...others] = world.hosts(20);
    await world.clock.advance(2 * world.downloadMs + 4000);
    expect(await first?.arrived).toMatchObject({ code: "disk-full" });
    expect(world.downloads).toHaveLength(2);
    for (const { arrived } of others) expect(await arrived).toMatchObject({ digest });
  });

  test("which nobody gets is tried by three for all, then by each, spread over a while", async () => {
    const world = new World();
    world.failure = () => new DewyError("network-unreachable", "no route");
    const hosts = world.hosts(30);
    await world.clock.advance(10 * 60_000);
    for (const { arrived } of hosts) expect(await arrived).toMatchObject({ code: "network-unreachable" });
    expect(world.downloads).toHaveLength(30);
    const times = world.downloads.map(({ atMs }) => atMs);
    const busiest = Math.max(
      ...times.map((start) => times.filter((atMs) => atMs >= start && atMs < start + 1000).length),
    );
    expect(busiest).toBeLessThan(8);
    expect(Math.max(...times)).toBeLessThan(4 * (world.downloadMs + 2000) + 30_000);
  });

  test("which the cache does not keep is downloaded by each, without standing in a queue", async () => {
    const world = new World();
    world.cache.maxFileBytes = 0;
    const hosts = world.hosts(10);
    await world.clock.advance(2 * world.downloadMs + 4000);
    for (const { arrived } of hosts) expect(await arrived).toEqual(downloaded);
    const late = world.host("late");
    await world.clock.advance(world.downloadMs);
    expect(await late.arrived).toEqual(downloaded);
  });
});

describe("a host helps itself", () => {
  test("when the cache does not answer", async () => {
    const world = new World();
    world.found = () => ({ kind: "down" });
    const host = world.host("web1");
    await world.clock.advance(world.downloadMs);
    expect(await host.arrived).toEqual(downloaded);
    expect(world.cache.calls.compareAndSwap).toBe(0);
  });

  test.each(["down", "unfit"] as const)("at once when the cache becomes %s while it waits", async (kind) => {
    const world = new World();
    world.downloadMs = 60_000;
    const [, waiting] = world.hosts(2);
    await world.clock.advance(5000);
    world.found = (host) => (host === "web1" ? { kind } : null);
    await world.clock.advance(2000);
    expect(world.hostsThatDownloaded).toEqual(["web0", "web1"]);
    await world.clock.advance(world.downloadMs);
    expect(await waiting?.arrived).toEqual(downloaded);
  });

  test.each(["get", "compareAndSwap"] as const)("when there is no lease to be had: %s", async (step) => {
    const world = new World();
    world.cache.trouble = { [step]: "fails" };
    const host = world.host("web1");
    await world.clock.advance(world.downloadMs);
    expect(await host.arrived).toEqual(downloaded);
    expect(host.log.at("warn")).toEqual(["Shared cache failed; downloading without waiting for other hosts"]);
  });

  test("when what it waited for is not what was published", async () => {
    const world = new World();
    const [, waiting] = world.hosts(2);
    world.found = (host) => (host === "web1" && world.cache.textOf(key) !== null ? { kind: "unfit" } : null);
    await world.clock.advance(2 * world.downloadMs + 2000);
    expect(await waiting?.arrived).toEqual(downloaded);
    expect(world.hostsThatDownloaded).toEqual(["web0", "web1"]);
  });

  test("but first replaces, for all, what was in the cache and is not what was published", async () => {
    const world = new World();
    const once = new Set<string>();
    world.found = (host) => {
      if (once.has(host)) return null;
      once.add(host);
      return { kind: "unfit" };
    };
    const hosts = world.hosts(5);
    await world.clock.advance(world.downloadMs + 2000);
    for (const { arrived } of hosts) expect(await arrived).toMatchObject({ digest });
    expect(world.downloads).toHaveLength(1);
  });

  test("never against its own stop", async () => {
    const world = new World();
    const [, waiting] = world.hosts(2);
    await world.clock.advance(1000);
    waiting?.stop.abort(new Error("told to stop"));
    expect(await waiting?.arrived).toEqual(new Error("told to stop"));
    expect(waiting?.log.at("warn")).toEqual([]);
    await world.clock.advance(60_000);
    expect(world.downloads).toHaveLength(1);
  });

  test("never against its own stop while the cache hangs", async () => {
    const world = new World();
    world.cache.trouble = { get: "hangs" };
    const host = world.host("web1");
    await world.clock.advance(1000);
    host.stop.abort(new Error("told to stop"));
    expect(await host.arrived).toEqual(new Error("told to stop"));
    expect(host.log.at("warn")).toEqual([]);
  });

  test("to what another finished between its look and its turn", async () => {
    const world = new World();
    let looks = 0;
    world.found = () => (looks++ === 0 ? { kind: "miss" } : { kind: "hit", digest });
    expect(await world.host("web1").arrived).toEqual(cacheHit);
    expect([world.downloads.length, world.cache.keys.length]).toEqual([0, 0]);
  });
});
