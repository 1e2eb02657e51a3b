import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import { ReplicaSet } from "../../src/replicas/replica-set.ts";
import type { Behaviour } from "../support/fake-app.ts";
import { FakeRotation } from "../support/fake-rotation.ts";
import type { MemoryRuntime } from "../support/memory-runtime.ts";
import { recordingLog } from "../support/recording.ts";
import { until } from "../support/until.ts";
import { c, deployment, noSteps, openHost, orphaned, root, SkewedClock } from "./replica-set-host.ts";

describe("options that can't be rolled out", () => {
  /** An agent that starts with other options beside containers that serve. */
  async function renewing(behaviour: Behaviour, timeoutMs = 500) {
    const before = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(before);
    const { runtime } = before;
    const fields = { options: "o2", deployedAt: orphan.deployedAt };
    const changed = deployment(runtime, "v1", behaviour, fields);
    const clock = new SkewedClock();
    const log = recordingLog();
    const told: DewyError[] = [];
    const set = ReplicaSet.open(
      {
        app: "shop",
        root,
        replicas: 2,
        health: { path: "/up", timeoutMs, intervalMs: 20, threshold: 3, greeting: "" },
        drainMs: 0,
        stopGraceMs: 1000,
        leaveRunning: false,
      },
      {
        runtime,
        rotation: new FakeRotation(),
        clock,
        log,
        onReplicaLost: () => undefined,
        onRenewalFailed: (error) => void told.push(error),
      },
    );
    return {
      runtime,
      orphan,
      ids,
      changed,
      clock,
      log,
      told,
      set,
      async [Symbol.asyncDispose]() {
        await set[Symbol.asyncDispose]();
        await before[Symbol.asyncDispose]();
      },
    };
  }
  const looks = ({ runtime }: { runtime: MemoryRuntime }) =>
    runtime.calls.filter((call) => call === "list").length;
  const looksAgain = async (host: { runtime: MemoryRuntime }) => {
    const before = looks(host);
    await until("it looks again", () => looks(host) > before + 3);
  };

  test("are an error with its hint, told once, and stand in the trouble", async () => {
    await using host = await renewing("exit");
    await host.set.resume(host.changed, c);
    await looksAgain(host);
    const reason = host.set.trouble ?? "";
    expect(reason).toStartWith("containers still run with other options: the new container did not come up");
    expect(host.log.records.filter(({ level }) => level === "error")).toEqual([
      {
        level: "error",
        message: records.runFailed,
        attributes: { error: reason, hint: expect.stringContaining("by hand") },
      },
    ]);
    expect(host.told).toMatchObject([{ code: "start-failed", message: reason, hint: expect.any(String) }]);
    expect(host.set.status()).toMatchObject({ kind: "serving" });
  });

  test("are tried again where the engine is to blame, told once, and forgotten when it went well", async () => {
    await using host = await renewing("serve");
    const full = () => host.runtime.fail("create", new DewyError("disk-full", "no space left"));
    full();
    await host.set.resume(host.changed, c);
    expect(host.set.trouble).toBe("containers still run with other options: no space left");
    full();
    host.clock.aheadMs += 60_000;
    await until("it was tried again", () => host.log.at("debug").includes("Replicas still not renewed"));
    expect(host.told).toHaveLength(1);
    expect(host.log.at("error")).toEqual([records.runFailed]);
    host.clock.aheadMs += 60_000;
    await until("all is well", () => host.set.trouble === null);
    const optionsInUse = () => host.runtime.containers.map(({ labels }) => labels["dewy.options"]);
    await until("all are new", () => Bun.deepEquals(optionsInUse(), ["o2", "o2"]));
    expect(host.told).toHaveLength(1);
  });

  test("for another reason than before are told anew", async () => {
    await using host = await renewing("exit");
    host.runtime.fail("create", new DewyError("disk-full", "no space left"));
    await host.set.resume(host.changed, c);
    host.clock.aheadMs += 60_000;
    await until("it is told", () => host.told.length === 2);
    expect(host.told.map(({ code }) => code)).toEqual(["disk-full", "start-failed"]);
  });

  test("stay in the trouble while they are tried again", async () => {
    await using host = await renewing("serve");
    host.runtime.fail("create", new DewyError("disk-full", "no space left"));
    await host.set.resume(host.changed, c);
    const troubles = new Set<string | null>();
    host.runtime.onCall = () => void troubles.add(host.set.trouble);
    host.runtime.fail("create", new DewyError("disk-full", "no space left"), { after: 1 });
    host.clock.aheadMs += 60_000;
    await until("it was tried again", () => host.log.at("debug").includes("Replicas still not renewed"));
    host.runtime.onCall = () => undefined;
    expect([...troubles]).toEqual(["containers still run with other options: no space left"]);
  });

  test("are past once an update has brought its own", async () => {
    await using host = await renewing("exit");
    await host.set.resume(host.changed, c);
    expect(host.set.trouble).not.toBeNull();
    await host.set.update(deployment(host.runtime, "v2", "serve", { options: "o2" }), noSteps, c);
    expect(host.set.trouble).toBeNull();
  });

  test("outlast an update that failed", async () => {
    await using host = await renewing("exit");
    await host.set.resume(host.changed, c);
    const { trouble } = host.set;
    expect(trouble).toStartWith("containers still run with other options: ");
    let meanwhile: string | null = null;
    const steps = {
      switched: async () => {
        meanwhile = host.set.trouble;
      },
      commit: () => Promise.reject(new DewyError("disk-full", "no space left")),
    };
    const failing = host.set.update(deployment(host.runtime, "v2", "serve", { options: "o2" }), steps, c);
    expect(await failing.catch((error) => error)).toMatchObject({ code: "disk-full" });
    expect([meanwhile, host.set.trouble]).toEqual([trouble, trouble]);
    expect(host.told).toHaveLength(1);
  });

  test("are not what keeps an engine that is away from being named", async () => {
    await using host = await renewing("exit");
    await host.set.resume(host.changed, c);
    host.runtime.isDown = true;
    await until("the engine is named", () => host.set.trouble === "the engine does not answer");
    host.runtime.isDown = false;
    await until("it answers", () => host.set.trouble?.startsWith("containers still run") === true);
  });

  test("are no failure when an update breaks off the try", async () => {
    await using host = await renewing("mute");
    host.runtime.fail("create", new DewyError("disk-full", "no space left"));
    await host.set.resume(host.changed, c);
    host.clock.aheadMs += 60_000;
    await until("it is tried again", () => host.runtime.containers.length === 3);
    await host.set.update(deployment(host.runtime, "v2", "serve", { options: "o2" }), noSteps, c);
    expect(host.told.map(({ code }) => code)).toEqual(["disk-full"]);
    expect(host.log.at("error")).toEqual([records.runFailed]);
  });

  /** All with other options end while the first with the new ones is being checked. */
  async function endMeanwhile({ runtime, ids }: { runtime: MemoryRuntime; ids: readonly string[] }) {
    const fresh = () =>
      runtime.containers.find(({ id, status }) => status === "running" && !ids.includes(id));
    const { id } = await until("a new one runs", fresh);
    for (const old of ids) runtime.die(old);
    return id;
  }

  test("get no blame when the last one with other options ends meanwhile: upkeep goes on with them", async () => {
    await using host = await renewing("mute");
    const resume = host.set.resume(host.changed, c);
    await endMeanwhile(host);
    await resume;
    expect(host.told).toEqual([]);
    expect(host.log.at("error")).toEqual([]);
    await until("the loss is named", () => host.set.trouble === "it exited with code 137");
    host.runtime.addImage("shop:v1", "serve");
    await until(
      "others serve",
      () => host.set.replicas().filter(({ inRotation }) => inRotation).length === 2,
    );
    expect(host.told).toEqual([]);
  });

  test("that may bring the service back are not given up for the end of the last one with others", async () => {
    await using host = await renewing(503, 60_000);
    const resume = host.set.resume(host.changed, c);
    const fresh = await endMeanwhile(host);
    await until("nobody serves", () => host.set.replicas().every(({ inRotation }) => !inRotation));
    await looksAgain(host);
    host.runtime.addImage("shop:v1", "serve");
    host.runtime.behave(fresh, "serve");
    await resume;
    expect(host.set.replicas().map(({ id }) => id)).toContain(fresh);
  });

  test("that nobody uses any more are no trouble", async () => {
    await using host = await renewing("exit");
    await host.set.resume(host.changed, c);
    host.runtime.addImage("shop:v1", "serve");
    for (const id of host.ids) host.runtime.die(id);
    await until("others serve", () => {
      const serving = host.set.replicas().filter(({ inRotation }) => inRotation);
      return serving.length === 2 && serving.every(({ id }) => !host.ids.includes(id));
    });
    expect(host.set.trouble).toBeNull();
  });
});
