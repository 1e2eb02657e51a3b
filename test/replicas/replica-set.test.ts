import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import { ReplicaSet } from "../../src/replicas/replica-set.ts";
import { type Clock, systemClock } from "../../src/util/time.ts";
import type { Behaviour } from "../support/fake-app.ts";
import { FakeRotation } from "../support/fake-rotation.ts";
import type { MemoryRuntime } from "../support/memory-runtime.ts";
import { recordingLog } from "../support/recording.ts";
import { until } from "../support/until.ts";
import { c, deployment, type Host, noSteps, openHost, root } from "./replica-set-host.ts";

/** The real time, and more of it. */
class SkewedClock implements Clock {
  aheadMs = 0;
  now = () => new Date();
  monotonicMs = () => performance.now() + this.aheadMs;
  sleep = systemClock.sleep;
}

/** v1 serves, and the agent is gone as after a kill -9: its containers run on. */
async function orphaned(host: Host, version = "v1") {
  const orphan = deployment(host.runtime, version);
  await host.set.update(orphan, noSteps, c);
  const ids = [...host.rotation.members];
  await host.set.close({ drain: false }, c);
  return { orphan, ids };
}

describe("a restarted agent", () => {
  test("serves the same containers, with no start and no stop", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    host.runtime.calls.length = 0;
    await using next = host.successor();
    await next.set.resume(orphan, c);
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
    await next.settles("v1");
    for (const call of ["create", "start", "stop", "remove"] as const) {
      expect(next.runtime.calls).not.toContain(call);
    }
    expect(next.log.at("warn")).toEqual([]);
  });

  test("starts what is missing from the local image, without a pull", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    host.runtime.die(ids[0] ?? "");
    await using next = host.successor({ replicas: 3 });
    await next.set.resume(orphan, c);
    await next.settles("v1", 3);
    expect(next.rotation.members).toContain(ids[1] ?? "");
    expect(next.runtime.calls).not.toContain("pull");
  });

  test("removes those that are too many", async () => {
    await using host = openHost({ replicas: 3, leaveRunning: true });
    const { orphan } = await orphaned(host);
    await using next = host.successor({ replicas: 1 });
    await next.set.resume(orphan, c);
    await next.settles("v1", 1);
    expect(next.log.at("warn")).toEqual([]);
  });

  test("removes the new version of an update that a crash broke off", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    const v2 = deployment(host.runtime, "v2");
    await host.runtime.start(await host.runtime.create(v2.makeSpec(0), c), c);
    await host.runtime.create(v2.makeSpec(1), c);
    await using next = host.successor();
    await next.set.resume(orphan, c);
    await next.settles("v1");
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
  });

  test("removes the old version of an update that a crash kept from its end", async () => {
    await using host = openHost({ leaveRunning: true });
    await orphaned(host);
    const v2 = deployment(host.runtime, "v2");
    for (const number of [0, 1]) {
      await host.runtime.start(await host.runtime.create(v2.makeSpec(number), c), c);
    }
    await using next = host.successor();
    await next.set.resume(v2, c);
    await next.settles("v2");
  });

  test("rolls to the operator's new options while the old containers serve", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan } = await orphaned(host);
    const changed = deployment(host.runtime, "v1", "serve", { options: "o2", deployedAt: orphan.deployedAt });
    await using next = host.successor();
    let fewest = 2;
    next.rotation.onChange = () => {
      fewest = Math.min(fewest, next.rotation.members.length);
    };
    const resumed = next.set.resume(changed, c);
    await until("the old ones serve", () => next.rotation.members.length === 2);
    fewest = 2;
    await resumed;
    await next.settles("v1");
    expect(fewest).toBe(2);
    expect(next.runtime.containers.map(({ labels }) => labels["dewy.options"])).toEqual(["o2", "o2"]);
  });

  test("keeps the old options' containers when the new options do not work", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    const changed = deployment(host.runtime, "v1", "exit", { options: "o2", deployedAt: orphan.deployedAt });
    await using next = host.successor();
    await next.set.resume(changed, c);
    await next.settles("v1");
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
    expect(next.log.at("warn")).not.toContain("Replicas not brought to what they should be");
  });

  test("rolls to new options once the engine is well again", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan } = await orphaned(host);
    const changed = deployment(host.runtime, "v1", "serve", { options: "o2", deployedAt: orphan.deployedAt });
    host.runtime.fail("create", new DewyError("disk-full", "no space left"));
    const clock = new SkewedClock();
    await using next = openHost({}, host.runtime, clock);
    await next.set.resume(changed, c);
    expect(next.rotation.members).toHaveLength(2);
    expect(next.names().every((name) => host.names().includes(name))).toBe(true);
    clock.aheadMs += 60_000;
    await until("all are new", () =>
      next.runtime.containers.every(({ labels }) => labels["dewy.options"] === "o2"),
    );
    await next.settles("v1");
  });

  test("adopts the original's containers, which have fewer labels", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    const spec = v1.makeSpec(0);
    const labels = { "dewy.managed": "true", "dewy.app": "shop", "dewy.version": "v1", "dewy.options": "o1" };
    const id = await host.runtime.create(
      { ...spec, name: "theirs", body: { ...spec.body, Labels: labels } },
      c,
    );
    await host.runtime.start(id, c);
    await host.set.resume(v1, c);
    expect(host.rotation.members).toContain(id);
    await host.settles("v1");
  });

  test("leaves containers of another directory's agent alone", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    const spec = v1.makeSpec(7);
    const labels = { ...spec.body.Labels, "dewy.root": `${root}-other`, "dewy.version": "v0" };
    const id = await host.runtime.create({ ...spec, body: { ...spec.body, Labels: labels } }, c);
    await host.set.resume(v1, c);
    await host.set.restart(c);
    await host.set.close({ drain: false }, c);
    expect(host.runtime.containers.map((each) => each.id)).toEqual([id]);
  });

  test("touches nothing when nothing is recorded", async () => {
    await using host = openHost();
    await host.runtime.create(deployment(host.runtime, "v1").makeSpec(0), c);
    await host.set.resume(null, c);
    expect(host.set.status()).toEqual({ kind: "idle" });
    expect(host.names()).toHaveLength(1);
  });

  test("waits for an engine that is down, says so once, and serves when it is there", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    host.runtime.isDown = true;
    await using next = host.successor();
    await next.set.resume(orphan, c);
    expect(next.set.status()).toEqual({ kind: "down", reason: "the engine does not answer" });
    await until(
      "it asks again and again",
      () => next.runtime.calls.filter((call) => call === "info").length > 4,
    );
    host.runtime.isDown = false;
    await next.settles("v1");
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
    expect(next.log.at("warn")).toEqual(["Engine does not answer: what serves goes on"]);
    expect(next.log.at("info")).toContain("Engine answers again");
    expect(next.log.at("error")).toEqual([]);
  });

  test("starts everything after a reboot, and keeps trying what does not come up", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    host.runtime.fail("start", new DewyError("disk-full", "no space left"));
    await host.set.resume(v1, c);
    await host.settles("v1");
    expect(host.losses).toMatchObject([{ kind: "not-started", reason: "no space left", delayMs: 200 }]);
  });
});

describe("options that can't be rolled out", () => {
  /** An agent that starts with other options beside containers that serve. */
  async function renewing(behaviour: Behaviour) {
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
        health: { path: "/up", timeoutMs: 500, intervalMs: 20, threshold: 3, greeting: "" },
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

describe("the trouble", () => {
  test("is none before the first deploy, and none while all is well", async () => {
    await using host = openHost();
    expect(host.set.trouble).toBeNull();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    expect(host.set.trouble).toBeNull();
  });

  test("is why a replica is missing, until another one serves", async () => {
    await using host = openHost({ replicas: 1 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.die(host.rotation.members[0] ?? "", 137);
    await until("it is named", () => host.set.trouble === "it exited with code 137");
    await host.settles("v1", 1);
    await until("it is past", () => host.set.trouble === null);
  });

  test("is a check that fails everywhere, though all stay in the rotation", async () => {
    await using host = openHost({ replicas: 1 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.addImage("shop:v1", 503);
    host.runtime.behave(host.rotation.members[0] ?? "", 503);
    await until("it is named", () => host.set.trouble?.endsWith(": 503") === true);
    expect(host.rotation.members).toHaveLength(1);
  });

  test("is an image that is gone", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    host.runtime.fail("create", new DewyError("not-found", "no such image: shop:v1"));
    host.runtime.fail("create", new DewyError("not-found", "no such image: shop:v1"));
    await host.set.resume(v1, c);
    expect(host.set.trouble).toBe("no such image: shop:v1");
    await host.settles("v1");
    await until("it is past", () => host.set.trouble === null);
  });
});

describe("while it runs", () => {
  async function running(overrides = {}): Promise<{ host: Host; first: string; second: string }> {
    const host = openHost(overrides);
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [first = "", second = ""] = host.rotation.members;
    return { host, first, second };
  }
  const out = (host: Host, id: string) =>
    until("it left the rotation", () => !host.rotation.members.includes(id));

  test.each<[string, (host: Host, id: string) => void]>([
    ["dies", (host, id) => host.runtime.die(id)],
    ["is paused", (host, id) => host.runtime.pause(id)],
    ["is removed by hand", (host, id) => void host.runtime.removeByHand(id)],
    ["is put out of use by the engine", (host, id) => host.runtime.set(id, { status: "dead" })],
  ])("a replica that %s is replaced, and the other serves on", async (_, happen) => {
    const { host, first, second } = await running();
    await using _host = host;
    happen(host, first);
    await out(host, first);
    expect(host.rotation.members).toContain(second);
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
    expect(host.losses).toMatchObject([{ kind: "died", version: "v1" }]);
    expect(host.log.at("error")).toEqual([]);
  });

  test("the engine's events are heeded at once, whatever the interval", async () => {
    const { host, first } = await running({
      health: { path: "/up", timeoutMs: 500, intervalMs: 3_600_000, threshold: 3, greeting: "" },
    });
    await using _host = host;
    let looks = -1;
    await until("it looks no more after the update", () => {
      const before = looks;
      looks = host.runtime.calls.filter((call) => call === "list").length;
      return looks === before;
    });
    host.runtime.die(first);
    await until("it left", () => !host.rotation.members.includes(first), 2000);
    await host.settles("v1");
  });

  test("one that fails its checks leaves, and goes when its replacement is well", async () => {
    const { host, first, second } = await running();
    await using _host = host;
    host.runtime.behave(first, 503);
    await out(host, first);
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
    expect(host.losses).toMatchObject([{ kind: "sick", reason: expect.stringContaining("503") }]);
    expect(host.log.at("warn")).toContain(records.healthFailed);
  });

  test("one or two failed checks are nothing", async () => {
    const { host, first } = await running({
      health: { path: "/up", timeoutMs: 500, intervalMs: 30, threshold: 1e9, greeting: "" },
    });
    await using _host = host;
    host.runtime.behave(first, 503);
    const failing = () => host.set.replicas().some(({ seen }) => seen.includes("503"));
    await until("a check failed", failing);
    expect(host.rotation.members).toContain(first);
    host.runtime.behave(first, "serve");
    await until("a check passed", () => !failing());
    expect(host.losses).toEqual([]);
  });

  test("when every replica fails its checks all serve on, until one is well", async () => {
    const { host, first, second } = await running();
    await using _host = host;
    host.runtime.addImage("shop:v1", 503);
    host.rotation.watchFewest();
    for (const id of [first, second]) host.runtime.behave(id, 503);
    await until(
      "both are sick",
      () => host.set.replicas().filter(({ state }) => state === "sick").length === 2,
    );
    await until("a replacement failed", () => host.losses.some(({ kind }) => kind === "not-started"));
    expect(new Set(host.rotation.members)).toEqual(new Set([first, second]));
    expect(host.rotation.fewest).toBeGreaterThan(0);
    host.runtime.addImage("shop:v1", "serve");
    host.runtime.behave(second, "serve");
    await until("only the well one serves", () => !host.rotation.members.includes(first));
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
    expect(host.log.at("info")).toContain("Healthy replicas serve again");
  });

  test("one that the engine starts again serves at its new host port once it is well", async () => {
    const { host, first } = await running({ replicas: 1 });
    await using _host = host;
    const before = host.rotation.addresses(first);
    host.runtime.restartByEngine(first);
    await until("it serves elsewhere", () => {
      const now = host.rotation.addresses(first);
      return now !== undefined && host.rotation.members.includes(first) && !Bun.deepEquals(now, before);
    });
    expect(host.names()).toHaveLength(1);
    expect(host.losses).toEqual([]);
  });

  test("one that gets another address is reached there, without leaving the rotation", async () => {
    const { host, first } = await running({ replicas: 1 });
    await using _host = host;
    host.rotation.watchFewest();
    host.runtime.set(first, { addresses: ["172.17.0.9"] });
    const direct = { host: "172.17.0.9", port: 8080 };
    await until("it is known", () => Bun.deepEquals(host.rotation.addresses(first)?.get(8000)?.[1], direct));
    expect(host.rotation.fewest).toBe(1);
  });

  test("one that the engine keeps restarting is replaced in the end", async () => {
    const { host, first } = await running({ replicas: 2 });
    await using _host = host;
    host.runtime.set(first, { status: "restarting", exitCode: 1 });
    await out(host, first);
    expect(host.losses).toEqual([]);
    await until("it is replaced", () => !host.runtime.containers.some(({ id }) => id === first));
    await host.settles("v1");
  });

  test("the image's HEALTHCHECK decides where no path is given", async () => {
    await using host = openHost({
      replicas: 1,
      health: { path: null, timeoutMs: 300, intervalMs: 20, threshold: 2, greeting: "" },
    });
    const v1 = deployment(host.runtime, "v1", "serve", { usesHealthcheck: true });
    const update = host.set.update(v1, noSteps, c);
    const id = await until(
      "it runs",
      () => host.runtime.containers.find(({ status }) => status === "running")?.id,
    );
    await Bun.sleep(400);
    expect(host.rotation.members).toEqual([]);
    host.runtime.set(id, { health: "healthy" });
    await update;
    host.runtime.set(id, { health: "unhealthy" });
    await until("it is sick", () => host.losses.some(({ kind }) => kind === "sick"));
    expect(host.losses[0]?.reason).toBe("the HEALTHCHECK says unhealthy");
  });

  test("a HEALTHCHECK that says unhealthy at the deadline fails the release", async () => {
    await using host = openHost({
      replicas: 1,
      health: { path: null, timeoutMs: 300, intervalMs: 20, threshold: 2, greeting: "" },
    });
    const v1 = deployment(host.runtime, "v1", "serve", { usesHealthcheck: true });
    const update = host.set.update(v1, noSteps, c).catch((error: unknown) => error);
    const id = await until(
      "it runs",
      () => host.runtime.containers.find(({ status }) => status === "running")?.id,
    );
    host.runtime.set(id, { health: "unhealthy" });
    expect(await update).toMatchObject({
      code: "health-failed",
      message: expect.stringContaining("unhealthy"),
    });
  });

  test("a replica that keeps dying is started ever more rarely", async () => {
    const { host } = await running({ replicas: 1 });
    await using _host = host;
    let diedMs = 0;
    for (let deaths = 1; deaths <= 3; deaths++) {
      const [id = ""] = await until(
        "it serves",
        () => host.rotation.members.length === 1 && host.rotation.members,
      );
      diedMs = performance.now();
      host.runtime.die(id);
      await until("it is noticed", () => host.losses.length === deaths);
    }
    await host.settles("v1");
    expect(performance.now() - diedMs).toBeGreaterThanOrEqual(790);
    expect(host.losses.map(({ delayMs }) => delayMs)).toEqual([200, 400, 800]);
  });

  test("while the engine is away the rotation stays as it is, and what happened is seen after", async () => {
    const { host, first, second } = await running();
    await using _host = host;
    host.runtime.isDown = true;
    host.runtime.die(first);
    await until("it was asked in vain", () => host.log.at("warn").length === 1);
    expect(new Set(host.rotation.members)).toEqual(new Set([first, second]));
    host.runtime.isDown = false;
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
  });

  test("an update does not wait for a replacement that never gets well", async () => {
    const { host, first } = await running({
      replicas: 1,
      health: { path: "/up", timeoutMs: 60_000, intervalMs: 20, threshold: 1, greeting: "" },
    });
    await using _host = host;
    host.runtime.addImage("shop:v1", 503);
    host.runtime.behave(first, 503);
    await until("a replacement is starting", () => host.names().length === 2);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.settles("v2");
  });

  test("a leftover that can't be removed is tried again, and said once", async () => {
    const { host, first } = await running();
    await using _host = host;
    for (let times = 0; times < 3; times++) {
      host.runtime.fail("remove", new DewyError("engine-failed", "device busy"));
    }
    host.runtime.die(first);
    await host.settles("v1");
    expect(host.log.at("warn").filter((message) => message === "Old replica not removed yet")).toHaveLength(
      1,
    );
  });
});

test("that the image is gone is known from the start that failed for it, until one works", async () => {
  await using host = openHost({ replicas: 1 });
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  expect(host.set.lacksImage).toBe(false);
  host.runtime.fail("create", new DewyError("not-found", "no such image"));
  const [only = ""] = host.rotation.members;
  await host.runtime.removeByHand(only);
  await until("it is known", () => host.set.lacksImage);
  await host.settles("v1", 1);
  expect(host.set.lacksImage).toBe(false);
});

describe("the shutdown", () => {
  test("stops and removes all of this app's containers, and nobody else's", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const other = deployment(host.runtime, "v1").makeSpec(9);
    const labels = { ...other.body.Labels, "dewy.app": "blog" };
    const id = await host.runtime.create({ ...other, body: { ...other.body, Labels: labels } }, c);
    await host.set.close({ drain: false }, c);
    expect(host.runtime.containers.map((each) => each.id)).toEqual([id]);
    expect(host.rotation.members).toEqual([]);
    const told = host.log.records.slice(-9).map(({ message }) => message);
    for (const message of [records.managedStopping, records.managedStopped, records.managedRemoving]) {
      expect(told.filter((each) => each === message)).toHaveLength(2);
    }
    expect(host.log.records.at(-1)).toMatchObject({
      message: records.cleanedUp,
      attributes: { containers_cleaned: 2 },
    });
    expect(host.log.at("warn")).toEqual([]);
  });

  test("leaves them running where that is wanted", async () => {
    await using host = openHost({ leaveRunning: true });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    await host.set.close({ drain: true }, c);
    expect(host.runtime.containers.map(({ status }) => status)).toEqual(["running", "running"]);
  });

  test("waits for connections within the drain time", async () => {
    await using host = openHost({ replicas: 1, drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [id = ""] = host.rotation.members;
    host.rotation.connect(id, 1);
    const closing = host.set.close({ drain: true }, c);
    await Bun.sleep(30);
    expect(host.runtime.containers[0]?.status).toBe("running");
    host.rotation.connect(id, 0);
    await closing;
    expect(host.names()).toEqual([]);
  });

  test("waits for nothing any more after a second signal", async () => {
    await using host = openHost({ replicas: 1, drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.rotation.connect(host.rotation.members[0] ?? "", 1);
    const second = new AbortController();
    const closing = host.set.close({ drain: true }, second);
    second.abort();
    await closing;
    expect(host.names()).toEqual([]);
  });

  test("in the middle of an update takes it back first", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const update = host.set
      .update(deployment(host.runtime, "v2", "mute"), noSteps, c)
      .catch((error) => error);
    await until("it is under way", () => host.names().length === 3);
    await host.set.close({ drain: false }, c);
    expect(await update).toMatchObject({ name: "AbortError" });
    expect(host.names()).toEqual([]);
    expect(host.log.at("error")).toEqual([]);
  });

  test("in the middle of a drain does not wait for it", async () => {
    await using host = openHost({ drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    for (const id of host.rotation.members) host.rotation.connect(id, 1);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.set.close({ drain: false }, c);
    expect(host.names()).toEqual([]);
  });

  test("with the engine down ends, and says what runs on", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.isDown = true;
    await host.set.close({ drain: false }, c);
    expect(host.log.at("error")).toEqual(["Replicas not cleaned up"]);
    host.runtime.isDown = false;
  });
});
