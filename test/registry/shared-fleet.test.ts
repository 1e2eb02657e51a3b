import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Delivery } from "../../src/activate/delivery.ts";
import { Agent } from "../../src/agent/agent.ts";
import { usualCrashLoop } from "../../src/agent/back/going-back.ts";
import { History } from "../../src/agent/history.ts";
import { Live } from "../../src/agent/live.ts";
import { phaseOf } from "../../src/agent/pace.ts";
import { StateFile } from "../../src/agent/state.ts";
import { openMemoryCache } from "../../src/cache/memory.ts";
import { silentLog } from "../../src/log.ts";
import type { Registry } from "../../src/registry/registry.ts";
import type { SharedMemory } from "../../src/registry/shared/memory.ts";
import { shareScope } from "../../src/registry/shared/scope.ts";
import { shareRegistry } from "../../src/registry/shared/shared.ts";
import { noOrder } from "../../src/release/version.ts";
import { always } from "../../src/schedule/evaluate.ts";
import type { Clock } from "../../src/util/time.ts";
import { CountingRegistry, mortal, releaseOf, seededRandom } from "../support/fleet.ts";
import { fleetCaches } from "../support/fleet-caches.ts";
import { FleetClock, fasterClock } from "../support/fleet-clock.ts";
import { silentAnnouncer } from "../support/recording.ts";
import { until } from "../support/until.ts";

const [ttlMs, intervalMs] = [30_000, 10_000];
const platform = { os: "linux", arch: "amd64" } as const;
const selection = { slot: null, calver: null, platform, host: "web1", env: {} };
const scope = shareScope({ registry: "memory:///registry", ...selection });

/** A thousand agents' states: where there is one, on a file system for which fsync costs nothing. */
const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "dewy-fleet-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Host {
  readonly name: string;
  /** As kill -9 does: it does nothing more. */
  die(): void;
  readonly tag: string | null;
}

/** Hosts with one registry and one shared cache; it is known who asks the registry. */
class Fleet {
  readonly upstream: CountingRegistry;
  readonly hosts: Host[] = [];
  asking: Host | null = null;

  constructor(
    readonly clock: Clock,
    private readonly memory: SharedMemory,
  ) {
    this.upstream = new CountingRegistry(clock);
    this.upstream.callMs = 500;
  }

  registryOf(name: string, clock: Clock, caller: () => Host, isDead: () => boolean): Registry {
    const { upstream } = this;
    const asked: Registry = {
      latest: (c) => {
        this.asking = caller();
        return upstream.latest(c);
      },
      find: (tag) => upstream.find(tag),
      report: (record) => upstream.report(record),
      minIntervalMs: () => 0,
      async [Symbol.asyncDispose]() {},
    };
    const options = { scope, ttlMs, staleMaxMs: 86_400_000, owner: `${name}/1/x` };
    const random = seededRandom(Bun.hash.crc32(name));
    return shareRegistry(asked, mortal(this.memory, isDead), options, { clock, log: silentLog, random });
  }

  /** The real agent; what it delivers is put in place without any work. */
  startAgent(name: string): void {
    const { clock } = this;
    const root = mkdtempSync(join(directory, `${name}-`));
    const { file: state } = StateFile.open(join(root, "state.json"), silentLog);
    const stop = new AbortController();
    const host = {
      name,
      die: () => stop.abort(new Error("killed")),
      get tag() {
        return state.state.current?.tag ?? null;
      },
    };
    const hooks = { before: null, after: null, onFailure: "continue", timeoutMs: 1000 } as const;
    const agent = new Agent({
      registry: this.registryOf(
        name,
        clock,
        () => host,
        () => stop.signal.aborted,
      ),
      delivery: instantDelivery,
      state,
      freshState: false,
      history: new History(join(root, "history.jsonl")),
      announcer: silentAnnouncer(),
      clock,
      log: silentLog,
      live: new Live({ intervalMs, hooks, rules: always, keep: 7, soakMs: 0, logLevel: "info" }),
      order: noOrder,
      version: "0.1.0",
      crashLoop: usualCrashLoop,
      reload: null,
      phase: phaseOf(name, root),
      report: false,
      retryRequest: join(root, "retry"),
      onStep: () => undefined,
      notifiers: () => [],
      onQuiet: () => undefined,
      settings: { command: "assets", root, host: name, env: {}, user: null, hasPort: false },
    });
    this.hosts.push(host);
    agent.run(stop).catch(() => undefined);
  }

  /** As the agent's loop asks, and no more; looks every interval from `phaseMs` on. */
  startPolling(name: string, clock: Clock, phaseMs: number): void {
    const stop = new AbortController();
    let tag: string | null = null;
    const host = {
      name,
      die: () => stop.abort(new Error("killed")),
      get tag() {
        return tag;
      },
    };
    const registry = this.registryOf(
      name,
      clock,
      () => host,
      () => stop.signal.aborted,
    );
    const run = async () => {
      await clock.sleep(phaseMs, stop.signal);
      for (;;) {
        tag = (await registry.latest(stop)).release?.tag ?? null;
        await clock.sleep(intervalMs, stop.signal);
      }
    };
    this.hosts.push(host);
    run().catch(() => undefined);
  }

  dieAll(): void {
    for (const host of this.hosts) host.die();
  }
}

const instantDelivery: Delivery = {
  arrival: "downloaded",
  setup: "",
  find: async () => null,
  recover() {},
  isIntact: () => true,
  restore: ([first]) => first ?? null,
  async resume() {},
  async obtain() {
    return {
      digest: `sha256:${"a".repeat(64)}`,
      fetched: false,
      async deliver(steps, c) {
        steps.staged(null);
        await steps.switched(null, c);
        await steps.commit("release");
        return { how: "placed" };
      },
      [Symbol.dispose]() {},
    };
  },
  revive: async () => null,
  async forget() {},
  async restart() {},
  status: () => ({ kind: "idle" }),
  tidyUp: async (placed) => new Set(Object.keys(placed.releases)),
  async [Symbol.asyncDispose]() {},
};

/** From each call to the next a window and little more: so each window has one call, and none has two. */
function expectOneCallAWindow(calls: readonly number[], slackMs: number): void {
  const gaps = calls.slice(1).map((atMs, n) => atMs - (calls[n] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(ttlMs);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(ttlMs + slackMs);
}

describe("a thousand agents that start together", () => {
  test.each<[string, readonly number[]]>([
    ["live on", []],
    ["die in the middle of their refreshes", [1, 3, 4, 8]],
  ])(
    "and %s ask the registry once a window, ten windows long",
    async (_, deaths) => {
      const clock = new FleetClock();
      await using cache = openMemoryCache({ log: silentLog });
      const fleet = new Fleet(clock, cache);
      const dead = new Set<Host | null>();
      fleet.upstream.onCall = (count) => {
        if (count === 6) fleet.upstream.release = releaseOf("v1.1.0");
        if (!deaths.includes(count)) return;
        dead.add(fleet.asking);
        fleet.asking?.die();
      };
      for (let n = 0; n < 1000; n++) fleet.startAgent(`web${n}`);
      await clock.advance(10 * ttlMs);
      expect(fleet.upstream.calls).toHaveLength(10);
      expectOneCallAWindow(fleet.upstream.calls, deaths.includes(1) ? 3000 : 1000);
      expect(dead.size).toBe(deaths.length);
      const tags = fleet.hosts.filter((host) => !dead.has(host)).map(({ tag }) => tag);
      expect(new Set(tags)).toEqual(new Set(["v1.1.0"]));
      fleet.dieAll();
    },
    300_000,
  );
});

describe("fifty agents whose clocks are wrong by up to ten minutes", () => {
  test.each([1, 2, 3])("ask once a window as soon as each had its first look (seed %d)", async (seed) => {
    const clock = new FleetClock();
    await using cache = openMemoryCache({ log: silentLog });
    const random = seededRandom(seed);
    const fleet = new Fleet(clock, cache);
    // Some come to an entry that is there.
    const startedMs = 60_000;
    for (let n = 0; n < 50; n++) {
      const skewed = clock.skewedBy((random() * 2 - 1) * 600_000);
      fleet.startPolling(`web${n}`, skewed, random() * startedMs);
    }
    await clock.advance(startedMs + 10 * ttlMs);
    // Those that are ahead believe at their first look that the answer is old, and those far behind can't tell.
    const early = fleet.upstream.calls.filter((atMs) => atMs <= startedMs);
    const settled = fleet.upstream.calls.filter((atMs) => atMs > startedMs);
    expect(early.length).toBeLessThanOrEqual(fleet.hosts.length);
    expect(settled.length).toBeWithin(9, 11);
    expectOneCallAWindow(settled, 2000);
    fleet.dieAll();
  });
});

describe("hosts that share a real cache", () => {
  test.each([
    ["redis", 200],
    ["s3", 40],
  ] as const)(
    "on %s ask once a window, also when one dies in the middle of it (%d hosts)",
    async (kind, count) => {
      await using opened = await fleetCaches[kind]();
      // Windows and claims of two seconds, so that a machine under load kills nobody.
      const fleet = new Fleet(fasterClock(15), opened.cache);
      fleet.upstream.callMs = 3000;
      fleet.upstream.onCall = (calls) => {
        if (calls === 3) fleet.asking?.die();
      };
      for (let n = 0; n < count; n++) fleet.startPolling(`web${n}`, fleet.clock, (intervalMs * n) / count);
      await until("five calls", () => fleet.upstream.calls.length >= 5);
      fleet.dieAll();
      const { calls } = fleet.upstream;
      const gaps = calls.slice(1).map((atMs, n) => atMs - (calls[n] ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(ttlMs);
      expect(new Set(fleet.hosts.map(({ tag }) => tag))).toEqual(new Set(["v1.0.0"]));
    },
    300_000,
  );
});
