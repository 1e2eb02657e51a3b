import { expect, test } from "bun:test";
import type { Agent } from "../../src/agent/agent.ts";
import { tellCrash, tellLoss } from "../../src/cli/run/deaths.ts";
import { DewyError } from "../../src/errors.ts";
import { ReplicaSet } from "../../src/replicas/replica-set.ts";
import { Supervisor } from "../../src/supervisor/supervisor.ts";
import { deployment, root } from "../replicas/replica-set-host.ts";
import { AgentHost } from "../support/agent-host.ts";
import { AppHost, shellApps } from "../support/app-host.ts";
import { FakeRotation } from "../support/fake-rotation.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

/** An agent on which v1.1.0 is proven, with v1.0.0 before it, and whom its deaths are told. */
async function proven(host: AgentHost) {
  const deps = host.deps({ soakMs: 0 });
  const agent: Agent = host.agentOf(deps);
  await agent.begin(c);
  for (const tag of ["v1.0.0", "v1.1.0"]) {
    host.registry.publish(tag);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag });
    await host.clock.advance(1000);
  }
  const { announcer, log } = deps;
  const currentTag = () => host.state.current?.tag ?? null;
  const told = { appFailed: agent.appFailed.bind(agent), announcer, log, currentTag };
  return { agent, told, release: host.state.current?.release ?? "" };
}

/** Lets the host's time pass in little steps, with what happens outside of it in between. */
function passing<T>(host: AgentHost, what: string, ready: () => T | null | false): Promise<T> {
  return until(what, async () => {
    await host.clock.advance(200);
    return ready();
  });
}

/** What must end needs time to pass for it. */
async function ends(host: AgentHost, ending: Promise<void>): Promise<void> {
  let isOver = false;
  void ending.finally(() => {
    isOver = true;
  });
  await passing(host, "it has ended", () => isOver);
  await ending;
}

const isBack = (host: AgentHost, agent: Agent) =>
  host.state.current?.tag === "v1.0.0" && agent.view().busy === null;

test("a release whose server dies again and again is left for the one before, with one notice", async () => {
  using host = new AgentHost();
  await using apps = new AppHost();
  const { agent, told, release } = await proven(host);
  apps.switchTo(apps.shellRelease(release, shellApps.dies));
  const deaths: string[] = [];
  const { clock, log } = host;
  const supervisor = await Supervisor.open(
    apps.options(),
    {
      clock,
      log,
      record: apps.record,
      soaking: () => false,
      onSick: () => undefined,
      onCrash: (crash) => {
        deaths.push(crash.reason);
        tellCrash(crash, told, c);
      },
    },
    c,
  );
  await supervisor.resume(release, c);
  const before = host.told.length;
  await passing(host, "it went back", () => isBack(host, agent));
  await ends(host, supervisor[Symbol.asyncDispose]());
  expect(deaths.length).toBeGreaterThanOrEqual(5);
  expect(host.told.slice(before).filter((kind) => kind === "rolled-back")).toHaveLength(1);
  expect(host.state.quarantine).toMatchObject([
    { tag: "v1.1.0", reason: "it died 5 times within 10 minutes: the server exited with code 3" },
  ]);
});

/** Three copies of the release, kept up. */
async function replicated(host: AgentHost, told: Parameters<typeof tellLoss>[1], release: string) {
  const runtime = new MemoryRuntime();
  const options = {
    app: "shop",
    root,
    replicas: 3,
    health: { path: "/up", timeoutMs: 500, intervalMs: 20, threshold: 3, greeting: "" },
    drainMs: 0,
    stopGraceMs: 1000,
    leaveRunning: false,
  };
  const { clock, log } = host;
  const lost: string[] = [];
  const rotation = new FakeRotation();
  const set = ReplicaSet.open(options, {
    runtime,
    rotation,
    clock,
    log,
    onReplicaLost: (loss) => {
      lost.push(loss.name ?? "");
      // The memory runtime's deployments are images.
      tellLoss({ ...loss, image: release }, told, c);
    },
  });
  void set.resume(deployment(runtime, "v1.1.0"), c);
  await passing(host, "all serve", () => rotation.members.length === 3);
  return { runtime, rotation, set, lost };
}

test("a release of which one copy dies again and again is left; all copies dying at once is one death", async () => {
  using host = new AgentHost();
  const { agent, told, release } = await proven(host);
  const { runtime, rotation, set, lost } = await replicated(host, told, release);
  await using _runtime = runtime;
  for (const { id } of runtime.containers) runtime.die(id);
  await passing(host, "all are back", () => lost.length >= 3 && rotation.members.length === 3);
  expect(lost).toHaveLength(3);
  expect(host.state).toMatchObject({ current: { tag: "v1.1.0" }, retreat: null });
  const name = runtime.containers.map((each) => each.name).sort()[0];
  await passing(host, "it went back", () => {
    const one = runtime.containers.find((each) => each.name === name && rotation.members.includes(each.id));
    if (one !== undefined && lost.length < 7) runtime.die(one.id);
    return isBack(host, agent);
  });
  await ends(host, set[Symbol.asyncDispose]());
  expect(lost.slice(3)).toEqual(Array.from({ length: 4 }, () => name ?? ""));
  expect(host.state.quarantine).toMatchObject([{ tag: "v1.1.0" }]);
});

test("copies that the engine can't start are no fault of the release", async () => {
  using host = new AgentHost();
  const { told, release } = await proven(host);
  const { runtime, rotation, set, lost } = await replicated(host, told, release);
  await using _runtime = runtime;
  const faults = 5;
  for (let fault = 0; fault < faults; fault++) {
    runtime.fail("create", new DewyError("engine-failed", "no port is free"));
  }
  const [first] = runtime.containers;
  if (first !== undefined) runtime.die(first.id);
  await passing(host, "all are back", () => lost.length > faults && rotation.members.length === 3);
  await ends(host, set[Symbol.asyncDispose]());
  expect(lost.slice(1)).toEqual(Array.from({ length: faults }, () => ""));
  expect(host.told).toContain("replica-lost");
  expect(host.state).toMatchObject({ current: { tag: "v1.1.0" }, retreat: null, quarantine: [] });
});
