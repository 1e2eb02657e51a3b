import { describe, expect, test } from "bun:test";
import { LeaseWatch } from "../../src/cache/lease.ts";
import { decodeLease } from "../../src/cache/lease-record.ts";
import { silentLog } from "../../src/log.ts";
import type { Clock } from "../../src/util/time.ts";
import { FleetCache } from "../support/fleet.ts";
import { FleetClock } from "../support/fleet-clock.ts";

const c = { signal: new AbortController().signal };
const key = "dewy-lease/v1.0.0--app.zip";
const ttlMs = 30_000;

class World {
  readonly clock = new FleetClock();
  readonly cache = new FleetCache();

  watch(owner: string, clock: Clock = this.clock): LeaseWatch {
    return new LeaseWatch(this.cache, { key, owner, ttlMs }, { clock, log: silentLog });
  }

  async held(owner: string) {
    const watch = this.watch(owner);
    const lease = await watch.take(await watch.look(c), c);
    if (lease === null) throw new Error(`${owner} did not get the lease`);
    return lease;
  }
}

describe("a lease", () => {
  test("is one host's of many that want it at once", async () => {
    const world = new World();
    const watches = Array.from({ length: 20 }, (_, n) => world.watch(`web${n}`));
    const states = await Promise.all(watches.map((each) => each.look(c)));
    const leases = await Promise.all(
      watches.map(async (each, n) => each.take(states[n] ?? { kind: "free", version: null, last: null }, c)),
    );
    expect(leases.filter((lease) => lease !== null)).toHaveLength(1);
    expect(world.cache.keys).toEqual([key]);
    await world.clock.advance(1000);
    expect(await world.watch("late").look(c)).toMatchObject({ kind: "held", dead: false });
    for (const lease of leases) await lease?.end("done");
  });

  test("lives as long as its holder does, however long that is", async () => {
    const world = new World();
    const lease = await world.held("web1");
    const watch = world.watch("web2");
    for (let minute = 0; minute < 60; minute++) {
      expect(await watch.look(c)).toMatchObject({ kind: "held", owner: "web1", dead: false });
      await world.clock.advance(60_000);
    }
    await lease.end("done");
    expect(await watch.look(c)).toEqual({ kind: "free", version: null, last: null });
    expect(world.cache.keys).toEqual([]);
  });

  test("of a dead holder is found after its length, by the observer's own clock, and taken once", async () => {
    const world = new World();
    const lease = await world.held("web1");
    world.cache.trouble = { compareAndSwap: "fails" }; // no renewal gets through
    const [near, far] = [world.watch("web2"), world.watch("web3", world.clock.skewedBy(-600_000))];
    expect(await near.look(c)).toMatchObject({ dead: false });
    await world.clock.advance(ttlMs / 2);
    expect(await far.look(c)).toMatchObject({ dead: false });
    await world.clock.advance(ttlMs / 2 - 1);
    expect(await near.look(c)).toMatchObject({ dead: false });
    await world.clock.advance(1);
    expect(await near.look(c)).toMatchObject({ dead: true });
    expect(await far.look(c)).toMatchObject({ dead: false });
    await world.clock.advance(ttlMs / 2);
    const seen = await far.look(c);
    expect(seen).toMatchObject({ dead: true });
    world.cache.trouble = {};
    const [first, second] = [await near.take(await near.look(c), c), await far.take(seen, c)];
    expect([first === null, second === null]).toEqual([false, true]);
    await lease.end("failed");
    expect(await far.look(c)).toMatchObject({ kind: "held", owner: "web2" });
    await first?.end("done");
  });

  test("that was taken over is neither renewed nor given back by the holder before", async () => {
    const world = new World();
    const lease = await world.held("web1");
    const stolen = JSON.stringify({ id: "other", owner: "web2", ttlMs, renewals: 0 });
    world.cache.write(key, stolen);
    await world.clock.advance(ttlMs);
    expect(world.cache.textOf(key)).toBe(stolen);
    await lease.end("done");
    expect(world.cache.textOf(key)).toBe(stolen);
  });

  test("survives an outage of the cache that is shorter than its length", async () => {
    const world = new World();
    const lease = await world.held("web1");
    const watch = world.watch("web2");
    await watch.look(c);
    world.cache.trouble = { compareAndSwap: "fails" };
    await world.clock.advance(ttlMs - 5000);
    world.cache.trouble = {};
    await world.clock.advance(5001);
    expect(await watch.look(c)).toMatchObject({ kind: "held", owner: "web1", dead: false });
    await world.clock.advance(ttlMs);
    expect(await watch.look(c)).toMatchObject({ dead: false });
    await lease.end("done");
  });

  test("is still its holder's when a renewal went through but its answer was lost", async () => {
    const world = new World();
    const lease = await world.held("web1");
    world.cache.trouble = { compareAndSwap: "lost" };
    await world.clock.advance(ttlMs / 3 + 1);
    world.cache.trouble = {};
    const watch = world.watch("web2");
    for (let n = 0; n < 6; n++) {
      expect(await watch.look(c)).toMatchObject({ kind: "held", owner: "web1", dead: false });
      await world.clock.advance(ttlMs / 2);
    }
    await lease.end("done");
    expect(world.cache.keys).toEqual([]);
  });

  test.each(["failed", "unshared"] as const)(
    "given back as %s is free, and says so to the next",
    async (outcome) => {
      const world = new World();
      const lease = await world.held("web1");
      await lease.end(outcome);
      const watch = world.watch("web2");
      const state = await watch.look(c);
      expect(state).toMatchObject({ kind: "free", last: { owner: "web1", outcome } });
      const next = await watch.take(state, c);
      expect(next?.last).toMatchObject({ owner: "web1", outcome });
      await next?.end("done");
      expect(world.cache.keys).toEqual([]);
    },
  );

  test("disposed of without an end has failed", async () => {
    const world = new World();
    {
      await using _lease = await world.held("web1");
    }
    expect(await world.watch("web2").look(c)).toMatchObject({ kind: "free", last: { outcome: "failed" } });
  });

  test("ends once", async () => {
    const world = new World();
    {
      await using lease = await world.held("web1");
      await lease.end("done");
    }
    expect(world.cache.keys).toEqual([]);
  });

  test("that can't be given back is no error: it dies by itself", async () => {
    const world = new World();
    const lease = await world.held("web1");
    world.cache.trouble = { delete: "fails" };
    await lease.end("done");
    await world.clock.advance(ttlMs);
    expect(decodeLease(Buffer.from(world.cache.textOf(key) ?? ""))).toMatchObject({ owner: "web1" });
  });

  test("of a cache that fails rejects, and is not taken", async () => {
    const world = new World();
    world.cache.trouble = { get: "fails" };
    await expect(world.watch("web1").look(c)).rejects.toMatchObject({ code: "network-unreachable" });
  });

  test.each([
    ["no JSON", "{"],
    ["no lease", '{"id":"1"}'],
    ["a lease for ever", '{"id":"1","owner":"web1","ttlMs":1e15,"renewals":0}'],
    ["no bytes", ""],
  ])("of which there is %s is free", async (_, body) => {
    const world = new World();
    world.cache.write(key, body);
    const watch = world.watch("web1");
    const state = await watch.look(c);
    expect(state).toMatchObject({ kind: "free", last: null });
    const lease = await watch.take(state, c);
    expect(lease).not.toBeNull();
    await lease?.end("done");
  });
});
