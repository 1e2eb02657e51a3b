import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "../../src/agent/agent.ts";
import { deploySteps } from "../../src/agent/deploy/deploy.ts";
import type { Order, OrderProgress } from "../../src/agent/orders/operations.ts";
import { digestOfFile } from "../../src/artifact/digest.ts";
import { DewyError } from "../../src/errors.ts";
import { AgentHost } from "../support/agent-host.ts";
import { archiveOf, artifactName } from "../support/memory-registry.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const died = new DewyError("start-failed", "the new server exited with code 1 right after its start");
const idle = { kind: "idle" } as const;

/** A host on which these releases were deployed one after the other, and its agent. */
async function running(host: AgentHost, tags: readonly string[], changes = {}): Promise<Agent> {
  const agent = host.agent(changes);
  await agent.begin(c);
  for (const tag of tags) {
    host.registry.publish(tag);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag });
    await host.clock.advance(1000);
  }
  return agent;
}

const order = (agent: Agent, what: Order, onProgress: (progress: OrderProgress) => void = () => undefined) =>
  agent.carryOut(what, onProgress, c);
const deploy = (agent: Agent, tag: string) => order(agent, { kind: "deploy", tag });
const rollback = (agent: Agent, tag: string | null = null) => order(agent, { kind: "rollback", tag });
const hold = { kind: "hold", until: null, reason: null } as const;

describe("a rollback", () => {
  test("goes to the last good release, from its directory, with hooks, history, report and people", async () => {
    using host = new AgentHost();
    const hooks = { before: "echo b >> hooks", after: "echo a >> hooks", onFailure: "continue" } as const;
    const agent = await running(host, ["v1.0.0", "v1.1.0"], { hooks: { ...hooks, timeoutMs: 60_000 } });
    const before = host.state.previous;
    const opened = host.registry.opened;
    const told = host.told.length;
    const { message } = await rollback(agent);
    expect(message).toBe(
      "Rolled back: v1.1.0 → v1.0.0. Held there until `dewy resume` or a release newer than v1.1.0 comes",
    );
    expect(host.current).toBe("v1.0.0");
    expect(host.state.current).toMatchObject({ tag: "v1.0.0", release: before?.release ?? "" });
    expect(host.registry.opened).toBe(opened);
    expect(await Bun.file(join(host.root, "hooks")).text()).toBe("b\na\n".repeat(3));
    expect(host.told.slice(told)).toEqual(["deploying", "hook", "hook", "deployed"]);
    expect(host.history.read().at(-1)).toMatchObject({
      tag: "v1.0.0",
      fromTag: "v1.1.0",
      result: "deployed",
    });
    expect(host.registry.reports.at(-1)).toMatchObject({ tag: "v1.0.0", fromTag: "v1.1.0" });
    expect(host.releases.list()).toHaveLength(2);
    expect(host.log.at("error")).toEqual([]);
  });

  test("holds there over restarts, until a release newer than the one left comes", async () => {
    using host = new AgentHost();
    await rollback(await running(host, ["v1.0.0", "v1.1.0"]));
    const agent = host.agent();
    await agent.begin(c);
    expect(await agent.tick(c)).toEqual(idle);
    expect(agent.view()).toMatchObject({
      hold: { left: "v1.1.0", until: null },
      waiting: { tag: "v1.1.0", reason: expect.stringContaining("v1.1.0"), until: null },
    });
    host.registry.publish("v1.0.5");
    host.registry.unpublish("v1.1.0");
    expect(await agent.tick(c)).toEqual(idle);
    host.registry.publish("v1.2.0");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.2.0" });
    expect(host.state.hold).toBeNull();
  });

  test("holds until somebody resumes", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    await rollback(agent);
    await host.clock.advance(1000);
    expect(await agent.tick(c)).toEqual(idle);
    expect((await order(agent, { kind: "resume" })).message).toBe("Resumed");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("after a rollback goes one further back, and what was left first stays left", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0", "v1.2.0"]);
    await rollback(agent);
    // Whoever asks is told since when: an agent must not refuse its own view.
    expect(new Date(agent.view().previous?.since ?? "").getTime()).not.toBeNaN();
    await host.clock.advance(1000);
    await rollback(agent);
    expect(host.current).toBe("v1.0.0");
    expect(host.state).toMatchObject({ hold: { left: "v1.2.0" }, previous: null });
    expect(await agent.tick(c)).toEqual(idle);
    await expect(rollback(agent, "v1.0.0")).rejects.toThrow("v1.0.0 runs already");
  });

  test("ordered twice at once goes back once: whoever ordered the second saw what the first has left", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0", "v1.2.0"]);
    const [first, second] = await Promise.allSettled([rollback(agent), rollback(agent)]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({
      status: "rejected",
      reason: {
        message: "v1.1.0 runs already: it was gone back to meanwhile",
        hint: "`dewy rollback TAG` goes further",
      },
    });
    expect(host.current).toBe("v1.1.0");
    await rollback(agent);
    expect(host.current).toBe("v1.0.0");
  });

  test("ordered while the agent goes back by itself goes no further", async () => {
    using host = new AgentHost();
    let ordered: Promise<unknown> | null = null;
    const onStep = () => {
      if (host.state.retreat !== null) ordered ??= rollback(agent).catch((error: unknown) => error);
    };
    const agent = await running(host, ["v1.0.0", "v1.1.0"], { soakMs: 30_000, onStep });
    host.registry.publish("v1.2.0");
    await host.clock.advance(30_000);
    await agent.tick(c);
    const { release = "" } = host.state.current ?? {};
    expect(agent.appFailed({ release, kind: "sick", reason: "status 500" })).toBe(true);
    const refused = await until("it was ordered", () => ordered);
    expect(refused).toMatchObject({ message: "v1.1.0 runs already: it was gone back to meanwhile" });
    expect(host.current).toBe("v1.1.0");
  });

  test("under an operator's hold leaves that as it is; when it ends, what was left stays left", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    const until = new Date(host.clock.now().getTime() + 60_000);
    await order(agent, { ...hold, until, reason: "launch" });
    const { message } = await rollback(agent);
    expect(message).toBe(`Rolled back: v1.1.0 → v1.0.0. Held there until ${until.toISOString()}`);
    host.registry.publish("v1.2.0");
    expect(await agent.tick(c)).toEqual(idle);
    expect(agent.view()).toMatchObject({ hold: { reason: "launch", left: null } });
    host.registry.unpublish("v1.2.0");
    await host.clock.advance(60_000);
    // Nobody has written down yet that the upper one is over.
    expect(await agent.check(c)).toMatchObject({
      wouldDeploy: false,
      reason: "held since the way back from v1.1.0, until a newer release comes",
      notBefore: null,
    });
    expect(agent.view()).toMatchObject({ hold: { left: "v1.1.0" } });
    expect(await agent.tick(c)).toEqual(idle);
    expect(host.state.hold).toMatchObject({ left: "v1.1.0" });
  });

  test("to a tag takes what is kept, and forgets none that it may come back to", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0", "v1.2.0"]);
    const opened = host.registry.opened;
    await rollback(agent, "v1.0.0");
    await host.clock.advance(1000);
    await rollback(agent, "v1.2.0");
    expect(host.current).toBe("v1.2.0");
    expect(host.registry.opened).toBe(opened);
  });

  test.each(["v1.0.0", null])(
    "to %p whose directory is gone takes it from the cache, though the registry is down",
    async (tag) => {
      using host = new AgentHost();
      const agent = await running(host, ["v1.0.0", "v1.1.0"]);
      host.releases.remove(host.state.previous?.release ?? "");
      const { registry } = host;
      registry.find = () => Promise.reject(new DewyError("network-unreachable", "down"));
      const opened = registry.opened;
      await rollback(agent, tag);
      expect(host.current).toBe("v1.0.0");
      expect(registry.opened).toBe(opened);
    },
  );

  test("takes nothing else for it: other bytes in the cache are forgotten", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    host.releases.remove(host.state.previous?.release ?? "");
    const path = join(host.root, "others.zip");
    writeFileSync(path, archiveOf("others"));
    const digest = await digestOfFile(path, c);
    await host.archiveDeps().cache.putFile(`v1.0.0--${artifactName}`, { path, digest }, c);
    await rollback(agent);
    expect(host.current).toBe("v1.0.0");
  });

  test("leaves what it left in place: its app may still be ending", async () => {
    using host = new AgentHost();
    await running(host, ["v1.0.0", "v1.1.0", "v1.2.0"]);
    const { release = "" } = host.state.current ?? {};
    const agent = host.agent({ keep: 1 });
    await agent.begin(c);
    await rollback(agent);
    expect(host.state.previous).toMatchObject({ tag: "v1.0.0" });
    expect(host.releases.has(release)).toBe(true);
  });

  test("is followed by a check at once, which tells what waits now", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    const stop = new AbortController();
    const looping = agent.run(stop);
    await until("the loop sleeps", () => agent.view().nextPollAt);
    await rollback(agent);
    await until("a check has seen it", () => agent.view().waiting?.tag === "v1.1.0");
    stop.abort(new Error("told to stop"));
    await expect(looping).rejects.toThrow("told to stop");
  });

  test("to a release of which nothing is left takes it from the registry", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    host.releases.remove(host.state.previous?.release ?? "");
    rmSync(host.cacheDir, { recursive: true });
    await rollback(agent);
    expect(host.current).toBe("v1.0.0");
  });

  test("to a release that was published again since is refused: it is not what ran here", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    host.releases.remove(host.state.previous?.release ?? "");
    rmSync(host.cacheDir, { recursive: true });
    host.registry.publish("v1.0.0", archiveOf("other"));
    await expect(rollback(agent)).rejects.toThrow("v1.0.0 was published again");
    expect(host.current).toBe("v1.1.0");
    expect(host.state.hold).toBeNull();
  });

  test("to a release that was never here takes it from the registry", async () => {
    using host = new AgentHost();
    host.registry.publish("v0.9.0");
    const agent = await running(host, ["v1.0.0"]);
    await rollback(agent, "v0.9.0");
    expect(host.current).toBe("v0.9.0");
    expect(await agent.tick(c)).toEqual(idle);
  });

  test.each([
    ["v1.0.0", "v1.1.0"],
    ["v1.1.0", null],
  ])("on an empty host (%s) holds there as a deploy does", async (tag, left) => {
    using host = new AgentHost();
    const agent = await running(host, []);
    for (const each of ["v1.0.0", "v1.1.0"]) host.registry.publish(each);
    await rollback(agent, tag);
    expect(host.state.hold?.left ?? null).toBe(left);
    expect(await agent.tick(c)).toEqual(idle);
    expect(host.current).toBe(tag);
  });

  test.each<[string, string | null, string]>([
    ["a tag that nobody knows", "v9.9.9", "the registry has no release v9.9.9"],
    ["the tag that runs", "v1.0.0", "v1.0.0 runs already"],
    ["no tag where nothing is kept", null, "no earlier release is kept on this host"],
  ])("to %s is refused, and nothing changes", async (_, tag, words) => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    const { state } = host;
    await expect(rollback(agent, tag)).rejects.toThrow(words);
    expect(host.state).toEqual(state);
  });

  test("that fails leaves what runs, holds nothing, and says why", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    host.app.startFailure = () => died;
    await expect(rollback(agent)).rejects.toBe(died);
    expect(host.current).toBe("v1.1.0");
    expect(host.state).toMatchObject({ hold: null, current: { tag: "v1.1.0" } });
    // What was kept is kept still: it was good once.
    expect(host.releases.list()).toHaveLength(2);
    expect(host.history.read().at(-1)).toMatchObject({ tag: "v1.0.0", result: "failed" });
  });

  test.each([...deploySteps])(
    "that is killed at %s leaves the old release or the new one, whole",
    async (step) => {
      using host = new AgentHost();
      await running(host, ["v1.0.0", "v1.1.0"]);
      const crashed: AgentHost[] = [];
      const agent = host.agent({
        onStep: (passed: string) => void (passed === step && crashed.push(new AgentHost(host))),
      });
      await agent.begin(c);
      await rollback(agent);
      const [found] = crashed;
      if (found === undefined) throw new Error("the step was not passed");
      using next = found;
      const isBack = step === "committed";
      const again = next.agent();
      await again.begin(c);
      expect(next.current).toBe(isBack ? "v1.0.0" : "v1.1.0");
      expect(next.state).toMatchObject({ attempt: null, hold: isBack ? { left: "v1.1.0" } : null });
      expect(await again.tick(c)).toEqual(idle);
      const deploys = next.outbox.events.filter(
        (event) => event.kind === "deployed" && event.tag === "v1.0.0",
      );
      expect(deploys).toHaveLength(isBack ? 2 : 1);
      if (!isBack) await rollback(again);
      expect(next.current).toBe("v1.0.0");
      expect(await again.tick(c)).toEqual(idle);
      expect(next.history.read().at(-1)).toMatchObject({ tag: "v1.0.0", fromTag: "v1.1.0" });
      expect(next.releases.list()).toHaveLength(2);
    },
  );
});

describe("a deploy by hand", () => {
  test("of the newest is a deploy as any other: nothing is held", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    host.registry.publish("v1.1.0");
    expect((await deploy(agent, "v1.1.0")).message).toBe("Deployed: v1.0.0 → v1.1.0");
    expect(host.state).toMatchObject({ hold: null, previous: { tag: "v1.0.0" }, origin: "deploy" });
  });

  test("tells whoever waits for it how far it is", async () => {
    using host = new AgentHost();
    const hooks = { before: null, after: "true", onFailure: "continue", timeoutMs: 60_000 };
    const agent = await running(host, ["v1.0.0"], { hooks });
    host.registry.publish("v1.1.0");
    const progress: OrderProgress[] = [];
    await order(agent, { kind: "deploy", tag: "v1.1.0" }, (each) => void progress.push(each));
    const bytes = archiveOf("v1.1.0").length;
    expect(progress).toContainEqual({ kind: "received", bytes, totalBytes: bytes });
    const steps = progress.flatMap((each) => (each.kind === "step" ? [each.step] : []));
    expect(steps).toEqual([
      "begun",
      "release is here",
      "release is in place",
      "switched to it",
      "after hook done",
      "it has proved itself",
      "recorded",
    ]);
  });

  test("of what runs does nothing", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    const told = host.told.length;
    expect((await deploy(agent, "v1.0.0")).message).toBe("v1.0.0 runs already");
    expect(host.told).toHaveLength(told);
  });

  test.each<[string, string, string]>([
    ["an older one", "v1.0.0", "v1.1.0"],
    ["one the policy does not admit", "v1.2.0-rc.1", "v1.2.0-rc.1"],
  ])("of %s holds there until a newer one comes", async (_, tag, left) => {
    using host = new AgentHost();
    host.registry.publish(tag);
    const agent = await running(host, []);
    host.registry.publish("v1.1.0");
    await agent.tick(c);
    await host.clock.advance(1000);
    await deploy(agent, tag);
    expect(host.state.hold).toMatchObject({ left });
    expect(await agent.tick(c)).toEqual(idle);
    expect(host.current).toBe(tag);
    host.registry.publish("v1.2.0");
    await host.clock.advance(1000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.2.0" });
  });

  test("of the newest ends what a rollback held, but not what an operator holds", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    await rollback(agent);
    await host.clock.advance(1000);
    await deploy(agent, "v1.1.0");
    expect(host.state.hold).toBeNull();
    await order(agent, hold);
    host.registry.publish("v1.2.0");
    await deploy(agent, "v1.2.0");
    expect(host.state.hold).toMatchObject({ left: null });
  });

  test("of a quarantined release is allowed, and lifts its quarantine when it works", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    host.registry.publish("v1.1.0");
    host.app.startFailure = () => died;
    await agent.tick(c);
    await expect(deploy(agent, "v1.1.0")).rejects.toBe(died);
    expect(host.state.quarantine).toHaveLength(1);
    host.app.startFailure = () => null;
    await deploy(agent, "v1.1.0");
    expect(host.current).toBe("v1.1.0");
    expect(host.state.quarantine).toEqual([]);
  });

  test("asks for no window", async () => {
    using host = new AgentHost();
    const rules = { windows: [], minAgeMs: 3_600_000, jitterMs: 0 };
    const agent = await running(host, [], { rules });
    host.registry.publish("v1.0.0", archiveOf("v1.0.0"), { createdAt: host.clock.now() });
    expect(await agent.tick(c)).toEqual(idle);
    await deploy(agent, "v1.0.0");
    expect(host.current).toBe("v1.0.0");
  });

  test.each([
    ["is not there", () => undefined, "the registry has no release v2.0.0"],
    ["has no artifact", (host: AgentHost) => host.registry.publish("v2.0.0", null), "has no artifact"],
  ])("of a release that %s is refused", async (_, prepare, words) => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    prepare(host);
    await expect(deploy(agent, "v2.0.0")).rejects.toThrow(words);
    expect(host.current).toBe("v1.0.0");
  });
});

describe("a hold", () => {
  test("keeps everything new away until it is resumed", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    expect((await order(agent, { ...hold, reason: "launch" })).message).toBe(
      "Held at v1.0.0 until `dewy resume`",
    );
    host.registry.publish("v1.1.0");
    expect(await agent.tick(c)).toEqual(idle);
    expect(agent.view()).toMatchObject({
      hold: { reason: "launch", until: null, left: null },
      waiting: { tag: "v1.1.0", reason: "held by an operator: launch", until: null },
    });
    expect(await agent.check(c)).toMatchObject({ newest: "v1.1.0", current: "v1.0.0", wouldDeploy: false });
    await order(agent, { kind: "resume" });
    expect(await agent.check(c)).toMatchObject({ wouldDeploy: true, reason: "v1.1.0 is to be deployed" });
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect((await order(agent, { kind: "resume" })).message).toBe("Nothing is held");
  });

  test("until a time ends by itself, over restarts too", async () => {
    using host = new AgentHost();
    const end = new Date(host.clock.now().getTime() + 61_000);
    await order(await running(host, ["v1.0.0"]), { ...hold, until: end });
    host.registry.publish("v1.1.0");
    const agent = host.agent();
    await agent.begin(c);
    expect(await agent.tick(c)).toEqual(idle);
    expect(agent.view().waiting).toMatchObject({ until: end.toISOString() });
    await host.clock.advance(60_000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect(host.state.hold).toBeNull();
    expect(host.log.at("info")).toContain("Hold ended");
  });

  test("that would end in the past is refused", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    await expect(order(agent, { ...hold, until: host.clock.now() })).rejects.toThrow("in the past");
    expect(host.state.hold).toBeNull();
  });

  test("puts what runs back when it is gone from the disk", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    await order(agent, hold);
    host.registry.publish("v1.1.0");
    host.releases.remove(host.state.current?.release ?? "");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
    expect(host.state.hold).not.toBeNull();
    expect(await agent.tick(c)).toEqual(idle);
  });
});

describe("retry", () => {
  test("lifts the quarantine and the back-off, and the next check comes at once", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    host.registry.publish("v1.1.0");
    host.app.startFailure = () => died;
    await agent.tick(c);
    host.app.startFailure = () => null;
    const stop = new AbortController();
    const looping = agent.run(stop);
    await until("the loop sleeps", () => agent.view().nextPollAt);
    expect(host.current).toBe("v1.0.0");
    expect((await order(agent, { kind: "retry" })).message).toBe(
      "Quarantine lifted: v1.1.0; the next check comes now",
    );
    await until("it is deployed", () => host.state.current?.tag === "v1.1.0");
    stop.abort(new Error("told to stop"));
    await expect(looping).rejects.toThrow("told to stop");
  });
});

describe("a restart", () => {
  test("is the app's, and needs one", async () => {
    using host = new AgentHost();
    const agent = await running(host, []);
    await expect(order(agent, { kind: "restart" })).rejects.toThrow("nothing is deployed here yet");
    host.registry.publish("v1.0.0");
    await agent.tick(c);
    expect((await order(agent, { kind: "restart" })).message).toBe("Restarted v1.0.0");
  });
});

describe("a reload", () => {
  test("changes what the agent does from then on; a bad one changes nothing", async () => {
    using host = new AgentHost();
    const deps = host.deps();
    let keep = 1;
    const agent = host.agentOf({
      ...deps,
      reload: async () => {
        if (keep < 1) throw new DewyError("config-invalid", "keep is too small");
        return { ...deps.live.settings, keep };
      },
    });
    await agent.begin(c);
    for (const tag of ["v1.0.0", "v1.1.0", "v1.2.0"]) {
      host.registry.publish(tag);
      await agent.tick(c);
      await host.clock.advance(1000);
    }
    expect(host.releases.list()).toHaveLength(3);
    await order(agent, { kind: "reload" });
    keep = 0;
    await expect(order(agent, { kind: "reload" })).rejects.toThrow("keep is too small");
    host.registry.publish("v1.3.0");
    await agent.tick(c);
    expect(host.releases.list()).toHaveLength(2);
  });

  test("of an agent without a file is refused", async () => {
    using host = new AgentHost();
    await expect(order(await running(host, []), { kind: "reload" })).rejects.toThrow(
      "without a configuration",
    );
  });
});

describe("orders during a deploy", () => {
  /** A deploy of v1.1.0 is under way, until it is let go. */
  async function deploying(host: AgentHost) {
    const agent = await running(host, ["v1.0.0"]);
    host.registry.publish("v1.1.0");
    const { promise, resolve } = Promise.withResolvers<void>();
    const { app } = host;
    const activate = app.activate.bind(app);
    let held = true;
    app.activate = async (staged, steps, call) => {
      if (held) await promise;
      held = false;
      return activate(staged, steps, call);
    };
    const ticking = agent.tick(c);
    await until("it is under way", () => agent.view().busy?.step === "release is in place");
    return { agent, ticking, letGo: () => resolve() };
  }

  test("wait for it and are told of what, or change the state at once", async () => {
    using host = new AgentHost();
    const { agent, ticking, letGo } = await deploying(host);
    expect(agent.view().busy).toMatchObject({ with: "a deploy of v1.1.0" });
    expect(await agent.check(c)).toMatchObject({
      wouldDeploy: false,
      reason: "a deploy of v1.1.0 is under way",
    });
    expect((await order(agent, hold)).message).toBe(
      "Held at v1.0.0 until `dewy resume`. What is under way goes on: a deploy of v1.1.0",
    );
    const progress: OrderProgress[] = [];
    const rolling = order(agent, { kind: "rollback", tag: null }, (each) => void progress.push(each));
    expect(progress).toEqual([{ kind: "waiting", for: "a deploy of v1.1.0" }]);
    letGo();
    expect(await ticking).toEqual({ kind: "deployed", tag: "v1.1.0" });
    await rolling;
    expect(progress.slice(1, 3)).toEqual([
      { kind: "step", step: "begun" },
      { kind: "step", step: "release is here" },
    ]);
    expect(host.current).toBe("v1.0.0");
    expect(host.state.hold).toMatchObject({ left: null });
    expect(agent.view().busy).toBeNull();
  });

  test("are preceded by no look at the registry: whoever asks is told what is under way", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0"]);
    host.registry.publish("v1.1.0");
    const asked = Promise.withResolvers<void>();
    const latest = host.registry.latest.bind(host.registry);
    let asks = 0;
    host.registry.latest = async (call) => {
      if (++asks === 1) await asked.promise;
      return latest(call);
    };
    const deployed = Promise.withResolvers<void>();
    const activate = host.app.activate.bind(host.app);
    host.app.activate = async (staged, steps, call) => {
      await deployed.promise;
      return activate(staged, steps, call);
    };
    const ticking = agent.tick(c);
    await until("it is checking", () => asks === 1);
    const looks = [agent.check(c), agent.check(c)];
    asked.resolve();
    const reason = "a deploy of v1.1.0 is under way";
    for (const look of looks) {
      expect(await look).toMatchObject({ newest: "v1.1.0", current: "v1.0.0", wouldDeploy: false, reason });
    }
    deployed.resolve();
    expect(await ticking).toEqual({ kind: "deployed", tag: "v1.1.0" });
    // Nobody waits for those any more.
    expect(await agent.check(c)).toMatchObject({ reason: "v1.1.0 runs" });
    expect(asks).toBe(2);
  });

  test("are carried out in the order they came, and those whose asker has gone are not", async () => {
    using host = new AgentHost();
    const { agent, ticking, letGo } = await deploying(host);
    host.registry.publish("v1.0.1");
    host.registry.publish("v1.0.2");
    const gone = new AbortController();
    const withdrawn = agent.carryOut({ kind: "deploy", tag: "v1.0.1" }, () => undefined, gone);
    const kept = deploy(agent, "v1.0.2");
    const last = rollback(agent, "v1.0.0");
    gone.abort(new Error("gone"));
    await expect(withdrawn).rejects.toThrow("gone");
    letGo();
    await ticking;
    await kept;
    await last;
    const deployed = host.history.read().map(({ tag }) => tag);
    expect(deployed).toEqual(["v1.0.0", "v1.1.0", "v1.0.2", "v1.0.0"]);
  });

  test("that have begun go on without their asker", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    const gone = new AbortController();
    const asked = agent.carryOut(
      { kind: "rollback", tag: null },
      (progress) => progress.kind === "step" && gone.abort(new Error("gone")),
      gone,
    );
    await expect(asked).rejects.toThrow("gone");
    await until("it is rolled back", () => host.state.current?.tag === "v1.0.0");
  });

  test("whose asker can't be told anything go on", async () => {
    using host = new AgentHost();
    const agent = await running(host, ["v1.0.0", "v1.1.0"]);
    const { message } = await order(agent, { kind: "rollback", tag: null }, () => {
      throw new Error("the connection is closed");
    });
    expect(message).toStartWith("Rolled back");
  });

  test("are refused before the agent has begun", async () => {
    using host = new AgentHost();
    await expect(deploy(host.agent(), "v1.0.0")).rejects.toThrow("the agent is starting");
  });
});
