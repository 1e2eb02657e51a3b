import { describe, expect, test } from "bun:test";
import type { Deployment } from "../../src/replicas/deployment.ts";
import type { ReplicaEngine } from "../../src/replicas/engine.ts";
import type { ReplicaSetOptions } from "../../src/replicas/parts.ts";
import { ReplicaSet } from "../../src/replicas/replica-set.ts";
import type { ReplicaLoss } from "../../src/replicas/upkeep.ts";
import { systemClock } from "../../src/util/time.ts";
import { FakeRotation } from "../support/fake-rotation.ts";
import { recordingLog } from "../support/recording.ts";
import { until } from "../support/until.ts";

/** `exit`: ends at once; `deaf`: never listens; `hang`: never answers; `fail`: answers 500. */
export type ContractMode = "serve" | "exit" | "deaf" | "hang" | "fail";

/** Whoever runs the copies, in a world of its own. */
export interface ContractWorld extends AsyncDisposable {
  readonly root: string;
  /** What a copy that is well needs at most until it serves. */
  readonly startMs: number;
  /** What an operator is told to do about a release that ends by itself. */
  readonly whyItEnds: RegExp;
  /** As one agent, and after it the next, has it. */
  engine(): ReplicaEngine;
  deployment(engine: ReplicaEngine, version: string, mode?: ContractMode): Deployment;
  /** Its copy ends, and nobody has told it to. */
  kill(engine: ReplicaEngine, id: string): Promise<void>;
}

const c = { signal: new AbortController().signal };
const noSteps = { switched: async () => undefined, commit: async () => undefined };
const labels = { "dewy.managed": "true" };

/** What keeping replicas comes to, on any engine. */
export function replicaContract(name: string, open: () => ContractWorld): void {
  function agent(world: ContractWorld, overrides: Partial<ReplicaSetOptions> = {}) {
    const engine = world.engine();
    const rotation = new FakeRotation();
    const losses: ReplicaLoss[] = [];
    const set = ReplicaSet.open(
      {
        app: "shop",
        root: world.root,
        replicas: 2,
        health: { path: "/up", timeoutMs: world.startMs, intervalMs: 50, threshold: 3, greeting: "" },
        drainMs: 0,
        stopGraceMs: 2000,
        leaveRunning: false,
        ...overrides,
      },
      {
        runtime: engine,
        rotation,
        clock: systemClock,
        log: recordingLog(),
        onReplicaLost: (loss) => void losses.push(loss),
      },
    );
    const all = () => engine.list(labels, c);
    return {
      engine,
      rotation,
      set,
      losses,
      all,
      ids: async () => (await all()).map(({ id }) => id).sort(),
      settles: (version: string, replicas = 2) =>
        until(`${replicas} of ${version}`, async () => {
          const listed = await all();
          const right = listed.filter((each) => each.labels["dewy.version"] === version);
          const inRotation = rotation.members.length === replicas;
          return listed.length === replicas && right.length === replicas && inRotation;
        }),
      [Symbol.asyncDispose]: () => set[Symbol.asyncDispose](),
    };
  }

  describe(name, () => {
    test("an update brings all new ones in before the first old one leaves", async () => {
      await using world = open();
      await using host = agent(world);
      expect(await host.set.update(world.deployment(host.engine, "v1"), noSteps, c)).toBe("started");
      host.rotation.watchFewest();
      expect(await host.set.update(world.deployment(host.engine, "v2"), noSteps, c)).toBe("restarted");
      await host.settles("v2");
      expect(host.rotation.fewest).toBeGreaterThanOrEqual(2);
      expect(host.set.status()).toMatchObject({ kind: "serving", version: "v2", inRotation: 2 });
    }, 90_000);

    test.each<[ContractMode, string]>([
      ["exit", "start-failed"],
      ["deaf", "health-failed"],
      ["hang", "health-failed"],
      ["fail", "health-failed"],
    ])(
      "a release that does %p is the release's fault and never serves",
      async (mode, code) => {
        await using world = open();
        await using host = agent(world);
        await host.set.update(world.deployment(host.engine, "v1"), noSteps, c);
        const before = await host.ids();
        const admitted = host.rotation.course.length;
        const bad = world.deployment(host.engine, "v2", mode);
        const error = await host.set.update(bad, noSteps, c).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code, blame: "release" });
        if (mode === "exit") expect(error).toHaveProperty("hint", expect.stringMatching(world.whyItEnds));
        await host.settles("v1");
        expect(await host.ids()).toEqual(before);
        const since = host.rotation.course.slice(admitted).filter((step) => step.startsWith("admit"));
        expect(since).toEqual([]);
      },
      90_000,
    );

    test("one that dies leaves the rotation and is replaced", async () => {
      await using world = open();
      await using host = agent(world);
      await host.set.update(world.deployment(host.engine, "v1"), noSteps, c);
      const [victim = ""] = await host.ids();
      await world.kill(host.engine, victim);
      await until("it is out", () => !host.rotation.members.includes(victim));
      await host.settles("v1");
      expect(await host.ids()).not.toContain(victim);
      expect(host.losses).toMatchObject([{ kind: "died", version: "v1" }]);
    }, 90_000);

    test("the last old one that ends while a new version hangs is made good at once, and nobody is blamed", async () => {
      await using world = open();
      const health = { path: "/up", timeoutMs: 60_000, intervalMs: 50, threshold: 3, greeting: "" };
      await using host = agent(world, { replicas: 1, health });
      await host.set.update(world.deployment(host.engine, "v1"), noSteps, c);
      const [victim = ""] = await host.ids();
      const hanging = world.deployment(host.engine, "v2", "hang");
      const update = host.set.update(hanging, noSteps, c).catch((thrown: unknown) => thrown);
      await until("the new one runs", async () => {
        const running = (await host.all()).filter(({ status }) => status === "running");
        return running.length === 2;
      });
      await world.kill(host.engine, victim);
      const { noun } = host.engine.words;
      expect(await update).toMatchObject({
        blame: "environment",
        message: expect.stringContaining(`no ${noun} that serves was left while the new version was checked`),
      });
      await host.settles("v1", 1);
      expect(await host.ids()).not.toContain(victim);
      expect(host.losses).toMatchObject([{ kind: "died", version: "v1" }]);
    }, 90_000);

    test("a restart replaces all of them", async () => {
      await using world = open();
      await using host = agent(world);
      await host.set.update(world.deployment(host.engine, "v1"), noSteps, c);
      const before = await host.ids();
      await host.set.restart(c);
      await host.settles("v1");
      expect((await host.ids()).filter((id) => before.includes(id))).toEqual([]);
    }, 90_000);

    test("the next agent adopts what the last one left, and stops what is no part of it", async () => {
      await using world = open();
      const first = agent(world, { leaveRunning: true });
      const v1 = world.deployment(first.engine, "v1");
      await first.set.update(v1, noSteps, c);
      const before = await first.ids();
      await first.set[Symbol.asyncDispose]();
      await using next = agent(world);
      const surplus = world.deployment(next.engine, "v0");
      await next.engine.start(await surplus.create(0, c), c);
      await next.set.resume(v1, c);
      await next.settles("v1");
      expect(await next.ids()).toEqual(before);
      expect(next.losses).toEqual([]);
    }, 90_000);

    test("the end leaves nothing", async () => {
      await using world = open();
      const host = agent(world);
      await host.set.update(world.deployment(host.engine, "v1"), noSteps, c);
      await host.set.close({ drain: false }, c);
      expect(await host.all()).toEqual([]);
    }, 90_000);
  });
}
