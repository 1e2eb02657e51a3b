import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { DurationValue } from "../../src/log.ts";
import { entryKey, shareScope } from "../../src/registry/shared/scope.ts";
import { shareRegistry } from "../../src/registry/shared/shared.ts";
import type { DeployRecord } from "../../src/release/release.ts";
import type { Clock } from "../../src/util/time.ts";
import { CountingRegistry, FleetCache, mortal, releaseOf } from "../support/fleet.ts";
import { FleetClock } from "../support/fleet-clock.ts";
import { recordingLog } from "../support/recording.ts";

const c = { signal: new AbortController().signal };
const away = new DewyError("network-unreachable", "no route to the registry", { hint: "see the cable" });
const [ttlMs, staleMaxMs, claimMs] = [30_000, 600_000, 30_000];
const backoffMs = 300_000;
const scopeOf = (registry = "memory:///registry", slot: string | null = null) =>
  shareScope({
    registry,
    slot,
    calver: null,
    platform: { os: "linux", arch: "amd64" },
    host: "web1",
    env: {},
  });
const key = entryKey(scopeOf());

/** A registry, the cache that a fleet shares, and the fleet's clock. */
class World {
  readonly clock = new FleetClock();
  readonly cache = new FleetCache();
  readonly upstream = new CountingRegistry(this.clock);

  /** Dead, it does nothing more that others can see, as after kill -9; a stop is for the caller's signal. */
  host(name: string, changes: { scope?: string; clock?: Clock; death?: AbortController } = {}) {
    const log = recordingLog();
    const { scope = scopeOf(), clock = this.clock, death = new AbortController() } = changes;
    const options = { scope, ttlMs, staleMaxMs, owner: `${name}/1/x` };
    const memory = mortal(this.cache, () => death.signal.aborted);
    const registry = shareRegistry(this.upstream, memory, options, { clock, log, random: () => 0.5 });
    const tag = async () => (await registry.latest(death)).release?.tag ?? null;
    return { registry, log, tag };
  }

  /** The calls of `latest` that reached the registry. */
  get asked(): number {
    return this.upstream.calls.length;
  }
}

/** Settles as `work` does while the fleet's time passes, an hour at most. */
async function passing<T>(world: World, work: Promise<T>): Promise<T> {
  const settled = work.then(
    () => true,
    () => true,
  );
  for (let second = 0; second < 3600; second++) {
    const over = await Promise.race([settled, Promise.resolve(false)]);
    if (over) break;
    await world.clock.advance(1000);
  }
  return work;
}

describe("hosts that share a registry's answers", () => {
  test("ask once a window between them", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    expect(await web1.tag()).toBe("v1.0.0");
    world.upstream.release = releaseOf("v1.1.0");
    await world.clock.advance(ttlMs - 1);
    expect([await web1.tag(), await web2.tag()]).toEqual(["v1.0.0", "v1.0.0"]);
    expect(world.asked).toBe(1);
    await world.clock.advance(1);
    expect([await web1.tag(), await web2.tag()]).toEqual(["v1.1.0", "v1.1.0"]);
    expect(world.asked).toBe(2);
    expect(web1.log.at("info")).toEqual([
      "Registry result refreshed from upstream",
      "Registry result refreshed from upstream",
    ]);
    expect(web2.log.at("info")).toEqual([]);
    expect(web2.log.at("debug")).toEqual([
      "Registry result served from the shared cache",
      "Registry result served from the shared cache",
    ]);
  });

  test("get the whole answer: moving tags, images, other slots, no release", async () => {
    const world = new World();
    const image = {
      name: "h.example/app:latest",
      url: "img://h.example/app:latest",
      sizeBytes: null,
      digest: null,
      revision: "1",
    };
    world.upstream.release = {
      tag: "latest",
      moving: true,
      createdAt: null,
      artifact: image,
      files: [image],
    };
    const scope = scopeOf("img://h.example/app?tag=latest");
    const first = await world.host("web1", { scope }).registry.latest(c);
    expect(await world.host("web2", { scope }).registry.latest(c)).toMatchObject({ ...first });
    world.upstream.release = null;
    const other = scopeOf("img://h.example/app?tag=none");
    await world.host("web1", { scope: other }).registry.latest(c);
    expect(await world.host("web2", { scope: other }).tag()).toBeNull();
    expect(world.asked).toBe(2);
  });

  test("know when the registry gave it, and whether it has failed since", async () => {
    const world = new World();
    const asOf = world.clock.now();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    expect((await web1.registry.latest(c)).shared).toBeUndefined();
    await world.clock.advance(20_000);
    expect((await web2.registry.latest(c)).shared).toEqual({ asOf, isStale: false, windowMs: ttlMs });
    world.upstream.failure = away;
    await world.clock.advance(20_000);
    for (const { registry } of [web1, web2]) {
      expect((await registry.latest(c)).shared).toEqual({
        asOf,
        isStale: true,
        windowMs: ttlMs,
        failure: expect.any(String),
      });
    }
    world.upstream.failure = null;
    await world.clock.advance(backoffMs);
    await web1.tag();
    expect((await web2.registry.latest(c)).shared).toMatchObject({ isStale: false });
  });

  test("of one selection are told the same, of another nothing of it", async () => {
    const world = new World();
    const blue = world.host("web1", { scope: scopeOf(undefined, "blue") });
    const green = world.host("web2", { scope: scopeOf(undefined, "green") });
    world.upstream.release = releaseOf("v1.0.0+blue");
    expect(await blue.tag()).toBe("v1.0.0+blue");
    world.upstream.release = releaseOf("v1.0.0+green");
    expect(await green.tag()).toBe("v1.0.0+green");
    expect(await blue.tag()).toBe("v1.0.0+blue");
    expect(world.cache.keys).toHaveLength(2);
  });

  test("keep within the registry's own minimum where that is longer, without slowing their checks", async () => {
    const world = new World();
    world.upstream.minMs = 72_000;
    const web1 = world.host("web1");
    await web1.tag();
    await world.clock.advance(71_999);
    await web1.tag();
    expect(world.asked).toBe(1);
    await world.clock.advance(1);
    await web1.tag();
    expect(world.asked).toBe(2);
    expect(web1.registry.minIntervalMs()).toBe(0);
  });

  test("find and report for themselves", async () => {
    const world = new World();
    const { registry } = world.host("web1");
    const record: DeployRecord = {
      id: "1",
      host: "web1",
      command: "server",
      tag: "v1",
      digest: null,
      fromTag: null,
      startedAt: "",
      finishedAt: "",
      durationMs: 0,
      result: "deployed",
    };
    expect((await registry.find("v0.9.0", c))?.tag).toBe("v0.9.0");
    await registry.report(record, c);
    expect([world.upstream.found, world.upstream.reported, world.asked]).toEqual([["v0.9.0"], ["v1"], 0]);
  });

  test("who are many at a stale answer: one asks, the others serve the old one at once", async () => {
    const world = new World();
    const hosts = Array.from({ length: 20 }, (_, n) => world.host(`web${n}`));
    for (const host of hosts) await host.tag();
    await world.clock.advance(ttlMs);
    world.upstream.release = releaseOf("v1.1.0");
    world.upstream.callMs = 5000;
    const tags = Promise.all(hosts.map((host) => host.tag()));
    await world.clock.advance(5000);
    const counts = Object.groupBy(await tags, (tag) => tag ?? "none");
    expect([counts["v1.0.0"]?.length, counts["v1.1.0"]?.length]).toEqual([19, 1]);
    expect(world.asked).toBe(2);
  });

  test("who are many at no answer: one asks, the others wait for it", async () => {
    const world = new World();
    world.upstream.callMs = 5000;
    const hosts = Array.from({ length: 20 }, (_, n) => world.host(`web${n}`));
    const tags = passing(world, Promise.all(hosts.map((host) => host.tag())));
    expect(new Set(await tags)).toEqual(new Set(["v1.0.0"]));
    expect(world.asked).toBe(1);
  });

  test("put aside what can't be read, with one warning", async () => {
    const world = new World();
    world.cache.write(key, "{");
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    world.cache.trouble = { compareAndSwap: "fails" };
    await web2.tag();
    await web2.tag();
    expect(web2.log.at("warn")).toEqual([
      "Shared registry result not readable; it is replaced",
      "Shared cache failed; asking the registry from here",
    ]);
    world.cache.trouble = {};
    expect([await web1.tag(), await web1.tag()]).toEqual(["v1.0.0", "v1.0.0"]);
    expect(web1.log.at("warn")).toEqual(["Shared registry result not readable; it is replaced"]);
    expect(JSON.parse(world.cache.textOf(key) ?? "")).toMatchObject({ answer: { by: "web1/1/x" } });
  });
});

describe("a host that dies while it asks", () => {
  test("is followed a window later; until then the others have the old answer", async () => {
    const world = new World();
    const death = new AbortController();
    const [dying, web2] = [world.host("web1", { death }), world.host("web2")];
    await dying.tag();
    await web2.tag();
    await world.clock.advance(ttlMs);
    world.upstream.callMs = 5000;
    const dead = dying.tag().catch((error: unknown) => error);
    await world.clock.advance(100);
    death.abort(new Error("killed"));
    expect(await dead).toEqual(new Error("killed"));
    expect(JSON.parse(world.cache.textOf(key) ?? "")).toMatchObject({ claim: { by: "web1/1/x" } });
    world.upstream.callMs = 0;
    world.upstream.release = releaseOf("v1.1.0");
    expect(await web2.tag()).toBe("v1.0.0");
    await world.clock.advance(Math.max(claimMs, ttlMs) - 1);
    expect(await web2.tag()).toBe("v1.0.0");
    expect(world.asked).toBe(2);
    await world.clock.advance(1);
    expect(await web2.tag()).toBe("v1.1.0");
    expect(world.asked).toBe(3);
    expect(web2.log.at("warn")).toEqual([]);
  });

  test("before there ever was an answer is followed as soon as its claim has run out", async () => {
    const world = new World();
    const death = new AbortController();
    world.upstream.callMs = 60_000;
    world
      .host("web1", { death })
      .tag()
      .catch(() => undefined);
    await world.clock.advance(100);
    death.abort(new Error("killed"));
    world.upstream.callMs = 0;
    const startMs = world.clock.monotonicMs();
    const hosts = Array.from({ length: 20 }, (_, n) => world.host(`web${n + 2}`));
    const tags = await passing(world, Promise.all(hosts.map((host) => host.tag())));
    expect(new Set(tags)).toEqual(new Set(["v1.0.0"]));
    expect(world.asked).toBe(2);
    expect((world.upstream.calls[1] ?? 0) - startMs).toBeWithin(claimMs, claimMs + 2000);
  });

  test("leaves nobody waiting for ever when its followers die too", async () => {
    const world = new World();
    const waiting = world.host("web0").registry;
    let claims = 0;
    const claim = () =>
      world.cache.write(
        key,
        JSON.stringify({
          answer: null,
          claim: { id: `${claims++}`, by: "web1", at: world.clock.now(), lengthMs: claimMs },
          failure: null,
        }),
      );
    claim();
    const gaveUp = waiting.latest(c).catch((error: unknown) => error);
    for (let second = 0; second < 295; second++) {
      if (second % 20 === 19) claim();
      await world.clock.advance(1000);
    }
    expect(await gaveUp).toMatchObject({ code: "network-timeout", retryable: true });
    expect(world.asked).toBe(0);
  });

  test("late: an answer after the deadline neither counts nor replaces the follower's", async () => {
    const world = new World();
    const [slow, web2] = [world.host("web1"), world.host("web2")];
    world.upstream.callMs = 270_001;
    const late = slow.registry.latest(c).catch((error: unknown) => error);
    await world.clock.advance(270_000);
    expect(await late).toMatchObject({
      code: "network-timeout",
      message: "ask memory:///registry: no answer before the deadline",
    });
    expect(JSON.parse(world.cache.textOf(key) ?? "")).toMatchObject({
      claim: null,
      failure: { code: "network-timeout" },
    });
    await expect(web2.tag()).rejects.toMatchObject({ code: "network-timeout" });
    expect(world.asked).toBe(1);
  });
});

describe("a registry that fails", () => {
  test("leaves the fleet with the last answer, with one warning a try on each host", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    await web1.tag();
    await web2.tag();
    world.upstream.failure = away;
    await world.clock.advance(ttlMs);
    for (let tick = 0; tick < 6; tick++) {
      expect([await web1.tag(), await web2.tag()]).toEqual(["v1.0.0", "v1.0.0"]);
      await world.clock.advance(10_000);
    }
    expect(world.asked).toBe(3);
    for (const { log } of [web1, web2]) {
      const warnings = log.records.filter(({ level }) => level === "warn");
      expect(warnings.map(({ message }) => message)).toEqual([
        "upstream registry failed; serving stale cache",
        "upstream registry failed; serving stale cache",
      ]);
      expect(warnings[0]?.attributes).toEqual({
        error: "no route to the registry",
        age: new DurationValue(ttlMs),
        registry: "memory:///registry",
        host: "web1",
      });
      expect(warnings[1]?.attributes["age"]).toEqual(new DurationValue(2 * ttlMs));
    }
    world.upstream.failure = null;
    world.upstream.release = releaseOf("v1.1.0");
    await world.clock.advance(ttlMs);
    expect([await web1.tag(), await web2.tag()]).toEqual(["v1.1.0", "v1.1.0"]);
  });

  test("leaves those that start meanwhile with the last answer too, whether somebody is asking again or not", async () => {
    const world = new World();
    const web1 = world.host("web1");
    await web1.tag();
    world.upstream.failure = away;
    await world.clock.advance(ttlMs);
    await web1.tag();
    const newcomer = world.host("web2");
    expect(await newcomer.tag()).toBe("v1.0.0");
    expect(newcomer.log.at("warn")).toEqual(["upstream registry failed; serving stale cache"]);
    await world.clock.advance(ttlMs);
    world.upstream.callMs = 5000;
    const asking = web1.tag();
    await world.clock.advance(1000);
    const another = world.host("web3");
    expect(await another.tag()).toBe("v1.0.0");
    expect(another.log.at("warn")).toEqual(["upstream registry failed; serving stale cache"]);
    await world.clock.advance(4000);
    expect(await asking).toBe("v1.0.0");
  });

  test("fails everybody once the last answer is too old", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    await web1.tag();
    await web2.tag();
    world.upstream.failure = away;
    for (let ms = 0; ms < staleMaxMs; ms += 10_000) {
      await world.clock.advance(10_000);
      expect([await web1.tag(), await web2.tag()]).toEqual(["v1.0.0", "v1.0.0"]);
    }
    const before = world.asked;
    await world.clock.advance(10_000);
    for (const host of [web1, web2]) {
      await expect(host.tag()).rejects.toMatchObject({
        code: "network-unreachable",
        message: expect.stringMatching(
          /^no route to the registry( \(asked by web\d\))?; the last answer is 10m10s old, too old to be served$/,
        ),
        hint: "see the cable",
      });
    }
    expect(world.asked - before).toBeLessThanOrEqual(1);
    world.upstream.failure = null;
    await world.clock.advance(backoffMs);
    expect([await web1.tag(), await web2.tag()]).toEqual(["v1.0.0", "v1.0.0"]);
  });

  test("from the first call on fails everybody with its own error, once a window", async () => {
    const world = new World();
    world.upstream.failure = away;
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    expect(await web1.registry.latest(c).catch((error: unknown) => error)).toBe(away);
    await expect(web2.tag()).rejects.toMatchObject({
      code: away.code,
      message: `${away.message} (asked by web1)`,
      hint: away.hint ?? "",
    });
    expect(world.asked).toBe(1);
    await world.clock.advance(ttlMs);
    await expect(web2.tag()).rejects.toBe(away);
    expect(world.asked).toBe(2);
  });

  test("asking for patience gets it from all", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    world.upstream.failure = new DewyError("http-status", "not now", { retryAfterMs: 300_000 });
    await web1.tag().catch(() => undefined);
    await world.clock.advance(100_000);
    await expect(web2.tag()).rejects.toMatchObject({ code: "http-status", retryAfterMs: 200_000 });
    await world.clock.advance(199_999);
    await web1.tag().catch(() => undefined);
    expect(world.asked).toBe(1);
    world.upstream.failure = null;
    await world.clock.advance(1);
    expect(await web1.tag()).toBe("v1.0.0");
  });

  test("on a stop is no failure: the signal's reason comes through", async () => {
    const world = new World();
    const stop = new AbortController();
    world.upstream.onCall = () => stop.abort(new Error("told to stop"));
    const { registry, log } = world.host("web1");
    await expect(registry.latest(stop)).rejects.toThrow("told to stop");
    expect(log.at("warn")).toEqual([]);
    expect(JSON.parse(world.cache.textOf(key) ?? "")).toMatchObject({ failure: null });
  });
});

describe("a host that is told to stop while it asks", () => {
  const stopped = async (world: World, name: string, trouble?: "hangs") => {
    const stop = new AbortController();
    world.upstream.callMs = 60_000;
    const host = world.host(name);
    const asking = host.registry.latest(stop).catch((error: unknown) => error);
    await world.clock.advance(25_000);
    if (trouble !== undefined) world.cache.trouble = { compareAndSwap: trouble };
    stop.abort(new Error("told to stop"));
    world.upstream.callMs = 0;
    return { asking, host };
  };

  test("lets the next one ask at once, with the old answer and failure still there", async () => {
    const world = new World();
    const web2 = world.host("web2");
    await web2.tag();
    await world.clock.advance(ttlMs);
    const before = JSON.parse(world.cache.textOf(key) ?? "");
    const { asking } = await stopped(world, "web1");
    expect(await asking).toEqual(new Error("told to stop"));
    expect(JSON.parse(world.cache.textOf(key) ?? "")).toEqual(before);
    world.upstream.release = releaseOf("v1.1.0");
    expect(await web2.tag()).toBe("v1.1.0");
    expect(world.asked).toBe(3);
  });

  test("before there ever was an answer lets the next one ask at once, too", async () => {
    const world = new World();
    await (await stopped(world, "web1")).asking;
    expect(await world.host("web2").tag()).toBe("v1.0.0");
    expect(world.asked).toBe(2);
  });

  test("lets the next one ask at once though nobody knows whether its last renewal was taken", async () => {
    const world = new World();
    const stop = new AbortController();
    world.upstream.callMs = 60_000;
    const asking = world
      .host("web1")
      .registry.latest(stop)
      .catch((error: unknown) => error);
    await world.clock.advance(9000);
    world.cache.trouble = { compareAndSwap: "lost", get: "fails" };
    await world.clock.advance(2000);
    world.cache.trouble = {};
    stop.abort(new Error("told to stop"));
    expect(await asking).toEqual(new Error("told to stop"));
    world.upstream.callMs = 0;
    expect(await world.host("web2").tag()).toBe("v1.0.0");
  });

  test("waits no longer than two seconds for a cache that hangs, and is followed as the dead are", async () => {
    const world = new World();
    const { asking, host } = await stopped(world, "web1", "hangs");
    const startMs = world.clock.monotonicMs();
    await passing(world, asking);
    expect(world.clock.monotonicMs() - startMs).toBeLessThanOrEqual(3000);
    expect(host.log.at("warn")).toEqual([]);
    world.cache.trouble = {};
    expect(await passing(world, world.host("web2").tag())).toBe("v1.0.0");
    expect(world.clock.monotonicMs() - startMs).toBeWithin(claimMs - 10_000, claimMs + 2000);
  });
});

describe("a registry that takes its time", () => {
  test.each([60_000, 269_000])(
    "(%d ms) is asked by one host only, whose claim lives as long",
    async (callMs) => {
      const world = new World();
      world.upstream.callMs = callMs;
      const hosts = Array.from({ length: 5 }, (_, n) => world.host(`web${n}`));
      const tags = await passing(world, Promise.all(hosts.map((host) => host.tag())));
      expect(new Set(tags)).toEqual(new Set(["v1.0.0"]));
      expect(world.asked).toBe(1);
      expect(hosts.flatMap(({ log }) => log.at("warn"))).toEqual([]);
    },
  );

  test.each(["fails", "lost"] as const)("keeps its claim when a renewal %s", async (trouble) => {
    const world = new World();
    const [slow, web2] = [world.host("web1"), world.host("web2")];
    world.upstream.callMs = 65_000;
    const asking = slow.tag();
    const following = web2.tag();
    for (let second = 0; second < 65; second++) {
      // The renewals after 10, 30 and 60 s.
      world.cache.trouble = [9, 29, 59].includes(second) ? { compareAndSwap: trouble } : {};
      await world.clock.advance(1000);
    }
    expect(await asking).toBe("v1.0.0");
    expect(await passing(world, following)).toBe("v1.0.0");
    expect(world.asked).toBe(1);
  });

  test("keeps its claim when the cache does not answer for one renewal at all", async () => {
    const world = new World();
    world.upstream.callMs = 65_000;
    const asking = world.host("web1").tag();
    await world.clock.advance(9000);
    world.cache.trouble = { compareAndSwap: "fails", get: "fails" };
    await world.clock.advance(2000);
    world.cache.trouble = {};
    const following = world.host("web2").tag();
    await world.clock.advance(54_000);
    expect([await asking, await passing(world, following)]).toEqual(["v1.0.0", "v1.0.0"]);
    expect(world.asked).toBe(1);
  });

  test("is asked anew when who asks dies after minutes", async () => {
    const world = new World();
    const death = new AbortController();
    const dying = world.host("web1", { death });
    world.upstream.callMs = 200_000;
    dying.tag().catch(() => undefined);
    const following = world.host("web2").tag();
    await world.clock.advance(125_000);
    expect(world.asked).toBe(1);
    death.abort(new Error("killed"));
    world.upstream.callMs = 0;
    expect(await passing(world, following)).toBe("v1.0.0");
    const [, secondMs = 0] = world.upstream.calls;
    expect(secondMs).toBeWithin(120_000 + claimMs, 120_000 + claimMs + 2000);
  });

  test("does not get its late answer into the entry after somebody else's", async () => {
    const world = new World();
    const slow = world.host("web1");
    await slow.tag();
    await world.clock.advance(ttlMs);
    world.upstream.callMs = 45_000;
    const asking = slow.tag();
    await world.clock.advance(1000);
    const theirs = { ...JSON.parse(world.cache.textOf(key) ?? ""), claim: null, failure: null };
    theirs.answer = { ...theirs.answer, by: "web9/1/x", fetchedAt: world.clock.now() };
    world.cache.write(key, JSON.stringify(theirs));
    await world.clock.advance(44_000);
    expect(await asking).toBe("v1.0.0");
    expect(JSON.parse(world.cache.textOf(key) ?? "")).toMatchObject({
      answer: { by: "web9/1/x" },
      claim: null,
    });
  });
});

describe("processes that look once and end, as a timer starts them", () => {
  const runs = async (world: World, count: number, everyMs: number) => {
    const tags: (string | null)[] = [];
    for (let run = 0; run < count; run++) {
      await world.clock.advance(everyMs);
      tags.push(await world.host(`run${run}`).tag());
    }
    return tags;
  };

  test.each(["with an answer", "without one"])(
    "go on after one that was killed while it asked, %s",
    async (kind) => {
      const world = new World();
      if (kind === "with an answer") await world.host("web1").tag();
      await world.clock.advance(ttlMs);
      const death = new AbortController();
      world.upstream.callMs = 5000;
      world
        .host("web2", { death })
        .tag()
        .catch(() => undefined);
      await world.clock.advance(1000);
      death.abort(new Error("killed"));
      world.upstream.callMs = 0;
      world.upstream.release = releaseOf("v1.1.0");
      const before = world.asked;
      expect(await runs(world, 2, 60_000)).toEqual(["v1.1.0", "v1.1.0"]);
      expect(world.asked - before).toBe(2);
    },
  );

  test("leave those in peace that ask", async () => {
    const world = new World();
    await world.host("web1").tag();
    await world.clock.advance(ttlMs);
    world.upstream.callMs = 200_000;
    const asking = world.host("web2").tag();
    await world.clock.advance(100);
    expect(await runs(world, 18, 10_000)).toEqual(Array.from({ length: 18 }, () => "v1.0.0"));
    expect(world.asked).toBe(2);
    await world.clock.advance(200_000);
    await asking;
  });

  test.each([
    ["an answer", (at: Date) => ({ claim: null, failure: null, at })],
    [
      "a claim",
      (at: Date) => ({ claim: { id: "1", by: "ahead", at, lengthMs: claimMs }, failure: null, at }),
    ],
  ])("are not held up by %s from ten years ahead", async (_, written) => {
    const world = new World();
    const { at, ...rest } = written(new Date(world.clock.now().getTime() + 10 * 365 * 86_400_000));
    const answer = { latest: { release: releaseOf("v0.9.0"), otherSlot: null }, fetchedAt: at, by: "ahead" };
    world.cache.write(key, JSON.stringify({ answer, ...rest }));
    expect(await runs(world, 3, 10_000)).toEqual(["v1.0.0", "v1.0.0", "v1.0.0"]);
    expect(world.asked).toBe(1);
  });

  test("fail rather than serve an answer from ten years ahead, until one sees it appear", async () => {
    const world = new World();
    const ahead = new Date(world.clock.now().getTime() + 10 * 365 * 86_400_000);
    const answer = {
      latest: { release: releaseOf("v0.9.0"), otherSlot: null },
      fetchedAt: ahead,
      by: "ahead",
    };
    world.upstream.failure = away;
    const watching = world.host("web1");
    await watching.tag().catch(() => undefined);
    await world.clock.advance(10_000);
    world.cache.write(key, JSON.stringify({ answer, claim: null, failure: null }));
    expect(await watching.tag()).toBe("v0.9.0");
    await expect(world.host("run").tag()).rejects.toMatchObject({
      message: "no route to the registry; the last answer is of unknown age, too old to be served",
    });
    expect(await watching.tag()).toBe("v0.9.0");
  });
});

describe("an answer that hosts may not take from a cache", () => {
  test("is everybody's failure, named, and no reason to ask over and over", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    world.upstream.release = releaseOf("v1.0.0 final");
    for (const host of [web1, web2]) {
      await expect(host.tag()).rejects.toMatchObject({
        code: "bad-answer",
        message: expect.stringContaining(
          "ask memory:///registry: the answer can't be shared: release.tag: a tag that is no safe name",
        ),
        hint: "publish it under another name, or leave out registry-ttl=",
      });
    }
    expect(world.asked).toBe(1);
  });

  test("and is there all the same is replaced, with the rule it breaks in the log", async () => {
    const world = new World();
    const answer = {
      latest: { release: releaseOf("../v1"), otherSlot: null },
      fetchedAt: world.clock.now(),
      by: "x",
    };
    world.cache.write(key, JSON.stringify({ answer, claim: null, failure: null }));
    const web1 = world.host("web1");
    expect([await web1.tag(), await web1.tag()]).toEqual(["v1.0.0", "v1.0.0"]);
    expect(web1.log.records.filter(({ level }) => level === "warn")).toMatchObject([
      {
        message: "Shared registry result not readable; it is replaced",
        attributes: { rule: "answer.latest.release.tag: a tag that is no safe name" },
      },
    ]);
  });
});

describe("a registry that is down for an hour", () => {
  /** How often hosts that look every ten seconds ask in an hour. */
  const askedBy = async (count: number, world = new World()) => {
    const hosts = Array.from({ length: count }, (_, n) => world.host(`web${n}`));
    for (const host of hosts) await host.tag();
    world.upstream.failure = away;
    const before = world.asked;
    for (let second = 0; second < 3600; second += 10) {
      await world.clock.advance(10_000);
      for (const host of hosts) await host.tag().catch(() => undefined);
    }
    return world.asked - before;
  };

  test("is asked as seldom by twenty hosts as by one: 20 times at most", async () => {
    const [one, twenty] = [await askedBy(1), await askedBy(20)];
    expect(one).toBeWithin(15, 21);
    expect(twenty).toBe(one);
  });

  test("and is back, and down again, is asked as often as at first", async () => {
    const world = new World();
    const first = await askedBy(2, world);
    world.upstream.failure = null;
    await world.clock.advance(backoffMs);
    expect(await askedBy(2, world)).toBe(first);
  });

  test("is asked no more often by a host without the shared cache", async () => {
    const world = new World();
    const host = world.host("web1");
    await host.tag();
    world.cache.trouble = { get: "fails" };
    expect(await askedBy(1, world)).toBeWithin(15, 21);
  });
});

describe("a shared cache that fails", () => {
  const troubles = ["fails", "hangs"] as const;

  test.each(troubles)(
    "(%s) leaves each host to ask for itself, told once, and is found again",
    async (trouble) => {
      const world = new World();
      const web1 = world.host("web1");
      await web1.tag();
      world.cache.trouble = { get: trouble, compareAndSwap: trouble };
      world.upstream.release = releaseOf("v1.1.0");
      const tags: (string | null)[] = [];
      for (let tick = 0; tick < 9; tick++) {
        tags.push(await passing(world, web1.tag()));
        await world.clock.advance(10_000);
      }
      expect(tags[0]).toBe("v1.0.0");
      expect(tags.at(-1)).toBe("v1.1.0");
      const [, ...alone] = world.upstream.calls;
      expect(alone.length).toBeGreaterThanOrEqual(2);
      for (const [n, atMs] of alone.entries())
        expect(atMs - (world.upstream.calls[n] ?? 0)).toBeGreaterThanOrEqual(ttlMs);
      expect(web1.log.at("warn")).toEqual(["Shared cache failed; asking the registry from here"]);
      world.cache.trouble = {};
      expect(await web1.tag()).toBe("v1.1.0");
      expect(web1.log.at("info")).toContain("Shared cache answers again");
    },
  );

  test("from the start is no reason to wait", async () => {
    const world = new World();
    world.cache.trouble = { get: "fails" };
    expect(await world.host("web1").tag()).toBe("v1.0.0");
  });

  test("makes a fleet ask spread over a window, each host once in it", async () => {
    const world = new World();
    const hosts = Array.from({ length: 100 }, (_, n) => world.host(`web${n}`));
    for (const host of hosts) await host.tag();
    await world.clock.advance(1);
    world.cache.trouble = { get: "fails" };
    const perSecond: number[] = [];
    for (let second = 0; second < 60; second++) {
      const before = world.asked;
      for (const host of hosts) await host.tag();
      perSecond.push(world.asked - before);
      await world.clock.advance(1000);
    }
    expect(world.asked - 1).toBeWithin(hosts.length - 2, hosts.length + 1);
    expect(perSecond.slice(0, 30)).toEqual(Array.from({ length: 30 }, () => 0));
    expect(Math.max(...perSecond)).toBeLessThan(12);
  });

  test("together with the registry serves the last answer, and fails once that is too old", async () => {
    const world = new World();
    const web1 = world.host("web1");
    await web1.tag();
    world.cache.trouble = { get: "fails" };
    world.upstream.failure = away;
    for (let ms = 0; ms < staleMaxMs; ms += 10_000) {
      await world.clock.advance(10_000);
      expect(await web1.tag()).toBe("v1.0.0");
    }
    await world.clock.advance(10_000);
    await expect(web1.tag()).rejects.toMatchObject({ code: "network-unreachable" });
    expect(web1.log.at("warn").filter((text) => text.startsWith("Shared cache"))).toHaveLength(1);
    expect(world.asked).toBeLessThanOrEqual(1 + staleMaxMs / ttlMs + 1);
  });

  test("does not make a host go back to the older answer that is still in it", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    await web1.tag();
    await web2.tag();
    world.cache.trouble = { get: "fails" };
    world.upstream.release = releaseOf("v1.1.0");
    await world.clock.advance(ttlMs);
    expect(await web1.tag()).toBe("v1.0.0");
    await world.clock.advance(ttlMs);
    expect(await web1.tag()).toBe("v1.1.0");
    world.cache.trouble = {};
    world.upstream.callMs = 5000;
    const refreshing = web2.tag();
    await world.clock.advance(100);
    expect(await web1.tag()).toBe("v1.1.0");
    await world.clock.advance(5000);
    expect(await refreshing).toBe("v1.1.0");
  });

  test("for writes alone serves what others write, and asks once a window for what they don't", async () => {
    const world = new World();
    const [writer, reader] = [world.host("web1"), world.host("web2")];
    await writer.tag();
    const readOnly = async () => {
      world.cache.trouble = { compareAndSwap: "fails" };
      const tag = await reader.tag();
      world.cache.trouble = {};
      return tag;
    };
    for (let tick = 0; tick < 12; tick++) {
      await world.clock.advance(10_000);
      expect(await readOnly()).toBe("v1.0.0");
    }
    const alone = world.asked - 1;
    expect(alone).toBeWithin(2, 5);
    expect(reader.log.at("warn")).toEqual(["Shared cache failed; asking the registry from here"]);
    world.upstream.release = releaseOf("v1.1.0");
    expect(await writer.tag()).toBe("v1.1.0");
    expect(await readOnly()).toBe("v1.1.0");
  });

  test("that loses the answer to a claim does not make the fleet lose the window", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    await web1.tag();
    await web2.tag();
    await world.clock.advance(ttlMs);
    world.cache.trouble = { compareAndSwap: "lost" };
    await web1.tag();
    world.cache.trouble = {};
    world.upstream.release = releaseOf("v1.1.0");
    await world.clock.advance(10_000);
    expect([await web2.tag(), await web1.tag(), await web2.tag()]).toEqual(["v1.0.0", "v1.1.0", "v1.1.0"]);
    expect(world.asked).toBe(2);
  });

  test("is not served from on a stop while the host asks for itself", async () => {
    const world = new World();
    const { registry, log } = world.host("web1");
    await registry.latest(c);
    world.cache.trouble = { get: "fails" };
    await registry.latest(c);
    await world.clock.advance(3 * ttlMs);
    const stop = new AbortController();
    world.upstream.onCall = () => stop.abort(new Error("told to stop"));
    await expect(registry.latest(stop)).rejects.toThrow("told to stop");
    expect(log.at("warn")).toEqual(["Shared cache failed; asking the registry from here"]);
  });

  test("on a stop is no failure", async () => {
    const world = new World();
    const { registry, log } = world.host("web1");
    world.cache.trouble = { get: "hangs" };
    const stop = new AbortController();
    const stopped = registry.latest(stop).catch((error: unknown) => error);
    await world.clock.advance(100);
    stop.abort(new Error("told to stop"));
    expect(await stopped).toEqual(new Error("told to stop"));
    await expect(registry.latest(stop)).rejects.toThrow("told to stop");
    expect(log.at("warn")).toEqual([]);
    expect(world.asked).toBe(0);
  });
});

describe("a failure that may be of one host's credentials", () => {
  const refused = new DewyError("unauthorized", "bad credentials", { hint: "check GH_TOKEN" });
  const limited = new DewyError("rate-limited", "limit exceeded", { retryAfterMs: 1_800_000 });

  test.each([
    ["refused", refused],
    ["limited for half an hour", limited],
  ])("(%s) keeps no other host from its first answer", async (_, failure) => {
    const world = new World();
    const [bad, good] = [world.host("bad"), world.host("good")];
    world.upstream.failure = failure;
    await expect(bad.tag()).rejects.toThrow(failure.message);
    world.upstream.failure = null;
    expect(await good.tag()).toBe("v1.0.0");
    expect(await bad.tag()).toBe("v1.0.0");
    expect(world.asked).toBe(2);
    expect(good.log.at("warn")).toEqual([]);
  });

  test("costs the others a window, and the one that was limited asks no sooner than it may", async () => {
    const world = new World();
    const [bad, good] = [world.host("bad"), world.host("good")];
    expect([await bad.tag(), await good.tag()]).toEqual(["v1.0.0", "v1.0.0"]);
    world.upstream.release = releaseOf("v1.1.0");
    world.upstream.failure = limited;
    await world.clock.advance(ttlMs);
    expect(await bad.tag()).toBe("v1.0.0");
    expect(await good.tag()).toBe("v1.0.0");
    expect(good.log.records.at(-1)).toMatchObject({
      level: "warn",
      message: "upstream registry failed; serving stale cache",
      attributes: { host: "bad" },
    });
    const asked = world.asked;
    await world.clock.advance(ttlMs);
    expect(await bad.tag()).toBe("v1.0.0");
    expect(world.asked).toBe(asked);
    world.upstream.failure = null;
    expect(await good.tag()).toBe("v1.1.0");
    expect(await bad.tag()).toBe("v1.1.0");
  });

  test("is the error of every host that is refused, in its own words", async () => {
    const world = new World();
    const [web1, web2] = [world.host("web1"), world.host("web2")];
    world.upstream.failure = refused;
    await expect(web1.tag()).rejects.toMatchObject({ message: "bad credentials", hint: "check GH_TOKEN" });
    await expect(web2.tag()).rejects.toMatchObject({ message: "bad credentials" });
    await expect(web1.tag()).rejects.toMatchObject({ code: "unauthorized" });
    expect(world.asked).toBe(2);
  });
});

test("a failure that another host met says which", async () => {
  const world = new World();
  world.upstream.failure = away;
  await expect(world.host("web1").tag()).rejects.toThrow("no route to the registry");
  await expect(world.host("web2").tag()).rejects.toThrow("no route to the registry (asked by web1)");
});
