import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "../../src/agent/agent.ts";
import { stopNoticeMs } from "../../src/agent/back/retreat.ts";
import { isTryDue, isWellAgain } from "../../src/agent/back/stranded.ts";
import { emptyState } from "../../src/agent/state.ts";
import { DewyError } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import { AgentHost } from "../support/agent-host.ts";
import { FleetCache } from "../support/fleet.ts";
import { archiveOf } from "../support/memory-registry.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const minute = 60_000;
const inSoak = "it died in its soak: exit 1";

async function deployed(host: AgentHost, tags: readonly string[], soakMs = 30_000): Promise<Agent> {
  const agent = host.agent({ soakMs });
  await agent.begin(c);
  await deploy(host, agent, tags);
  return agent;
}

async function deploy(host: AgentHost, agent: Agent, tags: readonly string[]): Promise<void> {
  for (const tag of tags) {
    host.registry.publish(tag);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag });
    await host.clock.advance(1000);
  }
}

/** The app dies, and no stop of the agent follows. */
async function dies(
  host: AgentHost,
  agent: Agent,
  kind: "crashed" | "unproven" = "crashed",
): Promise<boolean> {
  const release = host.state.current?.release ?? "";
  const isTold = agent.appFailed({ release, kind, reason: "exit 1" });
  await host.clock.advance(stopNoticeMs);
  await until("the agent is idle", () => agent.view().busy === null);
  return isTold;
}

/** Nothing of it is left anywhere. */
function lose(host: AgentHost, tag: string): void {
  const { releases } = host.state;
  for (const [release, kept] of Object.entries(releases)) if (kept.tag === tag) host.releases.remove(release);
  rmSync(host.cacheDir, { recursive: true });
  host.registry.unpublish(tag);
}

/** On v1.1.0, which died in its soak, with no v1.0.0 to go back to. */
async function stranded(host: AgentHost): Promise<Agent> {
  const agent = await deployed(host, ["v1.0.0", "v1.1.0"]);
  lose(host, "v1.0.0");
  expect(await dies(host, agent)).toBe(true);
  await until("it is known", () => host.state.stranded !== null);
  return agent;
}

describe("a sick release whose predecessor is gone from disk, cache and registry", () => {
  test("stays; one notice says why it should go, why it can't, and what to do; so do status and history", async () => {
    using host = new AgentHost();
    const agent = await deployed(host, ["v1.0.0", "v1.1.0"]);
    lose(host, "v1.0.0");
    const told = host.told.length;
    await dies(host, agent);
    await until("it is known", () => host.state.stranded !== null);
    const why = "v1.0.0, which was before it, can't be had any more: the registry has no release v1.0.0";
    const hint = "publish a fixed version, or v1.0.0 again; `dewy deploy TAG` puts another one in its place";
    expect(host.outbox.events.slice(told)).toEqual([
      { kind: "stranded", tag: "v1.1.0", reason: inSoak, why, hint },
    ]);
    expect(agent.view()).toMatchObject({
      stranded: { reason: inSoak, why, hint },
      failure: null,
      soakUntil: null,
    });
    expect(host.history.read().at(-1)).toMatchObject({
      tag: "v1.0.0",
      fromTag: "v1.1.0",
      result: "failed",
      cause: "retreat",
      error: `the registry has no release v1.0.0; it was to come back because what replaced it failed: ${inSoak}`,
    });
    expect(host.current).toBe("v1.1.0");
    expect(host.state).toMatchObject({ retreat: null, quarantine: [] });
  });

  test("is told neither again nor as recovered while it goes on dying, over restarts of dewy", async () => {
    using host = new AgentHost();
    let agent = await stranded(host);
    const told = host.told.length;
    const { length } = host.history.read();
    const tries: number[] = [];
    for (let deaths = 0; deaths < 20; deaths++) {
      if (await dies(host, agent)) tries.push(deaths);
      expect(await agent.tick(c)).toEqual({ kind: "idle" });
      await host.clock.advance(minute);
      if (deaths === 9) {
        agent = host.agent();
        await agent.begin(c);
      }
    }
    expect(tries).toEqual([5, 10, 15]);
    expect(host.told.slice(told)).toEqual([]);
    expect(host.history.read()).toHaveLength(length);
    expect(host.state.failure).toBeNull();
  });

  test("has recovered when it has not died for as long as a crash loop takes", async () => {
    using host = new AgentHost();
    const agent = await stranded(host);
    const told = host.told.length;
    await host.clock.advance(4 * minute);
    expect(await dies(host, agent)).toBe(false);
    await host.clock.advance(10 * minute - stopNoticeMs - 1000);
    await agent.tick(c);
    expect(host.told.slice(told)).toEqual([]);
    await host.clock.advance(1000);
    await agent.tick(c);
    expect(host.outbox.events.slice(told)).toMatchObject([
      { kind: "recovered", trouble: "app", errors: 1, heldBack: 0 },
    ]);
    expect(agent.view().stranded).toBeNull();
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.told).toHaveLength(told + 1);
  });

  test("is left at its next death once the good one is published again, and not without one", async () => {
    using host = new AgentHost();
    const agent = await stranded(host);
    host.registry.publish("v1.0.0");
    await host.clock.advance(5 * minute);
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.current).toBe("v1.1.0");
    const told = host.told.length;
    expect(await dies(host, agent)).toBe(true);
    await until("it went back", () => host.state.current?.tag === "v1.0.0" && agent.view().busy === null);
    await agent.tick(c);
    expect(host.told.slice(told)).toEqual(["rolled-back", "recovered"]);
    expect(host.state).toMatchObject({ stranded: null, quarantine: [{ tag: "v1.1.0", reason: inSoak }] });
  });

  test("stays where other content is published under the good one's tag; an operator may choose that", async () => {
    using host = new AgentHost();
    const agent = await stranded(host);
    host.registry.publish("v1.0.0", archiveOf("other"));
    await host.clock.advance(5 * minute);
    await dies(host, agent);
    expect(host.current).toBe("v1.1.0");
    expect(host.state.stranded?.why).toContain("v1.0.0 was published again: what ran here under it is gone");
    await agent.carryOut({ kind: "deploy", tag: "v1.0.0" }, () => undefined, c);
    expect(host.current).toBe("other");
    expect(host.state.stranded).toBeNull();
  });

  test.each([
    ["", null],
    [", nor taken from the fleet's cache", new FleetCache()],
  ])("is not fetched again and again from under that tag%s, until it changes", async (_, shared) => {
    using host = new AgentHost();
    const agent = host.agent({ soakMs: 30_000, ...(shared && { shared }) });
    await agent.begin(c);
    await deploy(host, agent, ["v1.0.0", "v1.1.0"]);
    lose(host, "v1.0.0");
    await dies(host, agent);
    host.registry.publish("v1.0.0", archiveOf("other"));
    const [keys, before] = [shared?.keys.length ?? 0, host.registry.opened];
    const opened: number[] = [];
    for (let tries = 0; tries < 4; tries++) {
      if (tries === 3) host.registry.publish("v1.0.0", archiveOf("yet another"));
      await host.clock.advance(5 * minute);
      expect(await dies(host, agent)).toBe(true);
      opened.push(host.registry.opened - before);
    }
    expect(opened).toEqual([1, 1, 1, 2]);
    if (shared !== null) expect(shared.keys).toHaveLength(keys + 2);
    expect(host.state.stranded?.why).toContain("v1.0.0 was published again");
    host.registry.publish("v1.0.0");
    await host.clock.advance(5 * minute);
    await dies(host, agent);
    await until("it went back", () => host.state.current?.tag === "v1.0.0");
  });

  test("leaves a newer one that fails its back-off, and people their peace, whenever it looks for its way back", async () => {
    using host = new AgentHost();
    const agent = await stranded(host);
    host.registry.publish("v1.2.0");
    host.registry.failures = { open: new DewyError("unauthorized", "no access") };
    const told = host.told.length;
    for (let tries = 1; tries <= 8; tries++) {
      await agent.tick(c);
      await host.clock.advance(5 * minute);
      expect(await dies(host, agent)).toBe(true);
      expect(host.state.failure).toMatchObject({ tag: "v1.2.0", count: tries });
    }
    expect(host.told.slice(told)).toEqual(["deploying", "failed", "failed", "failed"]);
  });

  test("is not well because the agent was off for long", async () => {
    using host = new AgentHost();
    await stranded(host);
    await host.clock.advance(60 * minute);
    const agent = host.agent();
    await agent.begin(c);
    const told = host.told.length;
    await agent.tick(c);
    expect(host.told.slice(told)).toEqual([]);
    expect(agent.view().stranded).not.toBeNull();
    await host.clock.advance(10 * minute);
    await agent.tick(c);
    expect(host.told.slice(told)).toEqual(["recovered"]);
  });

  test("is not well while it is down by the host's fault, nor at once when it is up again", async () => {
    using host = new AgentHost();
    const agent = await stranded(host);
    const told = host.told.length;
    host.app.current = { kind: "down", reason: "no such file: /srv/app" };
    for (let ticks = 0; ticks < 3; ticks++) {
      await host.clock.advance(9 * minute);
      await agent.tick(c);
    }
    host.app.current = { kind: "idle" };
    await host.clock.advance(9 * minute);
    await agent.tick(c);
    expect(host.told.slice(told)).toEqual([]);
    expect(host.log.at("info")).not.toContain(records.strandingOver);
    await host.clock.advance(minute);
    await agent.tick(c);
    expect(host.told.slice(told)).toEqual(["recovered"]);
  });

  test("makes no newer one wait, which ends the trouble", async () => {
    using host = new AgentHost();
    const agent = await stranded(host);
    host.registry.publish("v1.2.0");
    const told = host.told.length;
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.2.0" });
    expect(host.told.slice(told)).toEqual(["deploying", "downloaded", "deployed", "recovered"]);
    expect(host.state.stranded).toBeNull();
  });

  test("is told of though the host had failed the way back before, whose errors are then over", async () => {
    using host = new AgentHost();
    const agent = await deployed(host, ["v1.0.0", "v1.1.0"]);
    lose(host, "v1.0.0");
    host.registry.publish("v1.0.0");
    host.registry.failures = { open: new DewyError("unauthorized", "no access") };
    const told = host.told.length;
    for (let tries = 0; tries < 5; tries++) {
      if (tries === 0) await dies(host, agent);
      else await agent.tick(c);
      await host.clock.advance(5 * minute);
    }
    expect(host.told.slice(told)).toEqual(["failed", "failed", "failed"]);
    expect(host.outbox.events.at(-1)).toMatchObject({
      tag: "v1.0.0",
      message: `no access; v1.1.0 is to be left: ${inSoak}`,
    });
    expect(agent.view().failure).toMatchObject({ tag: "v1.0.0" });
    host.registry.unpublish("v1.0.0");
    await agent.tick(c);
    await agent.tick(c);
    expect(host.told.slice(told + 3)).toEqual(["stranded"]);
    expect(agent.view().failure).toBeNull();
  });
});

describe("a sick release that can't be left", () => {
  test("as what was before it does not work is, at its next death, once an operator lifts the quarantine", async () => {
    using host = new AgentHost();
    const agent = await deployed(host, ["v1.0.0", "v1.1.0"]);
    host.app.startFailure = () => new DewyError("start-failed", "no start");
    await dies(host, agent);
    await until("it is known", () => host.state.stranded !== null);
    host.app.startFailure = () => null;
    const told = host.told.length;
    await host.clock.advance(5 * minute);
    await dies(host, agent);
    expect(host.current).toBe("v1.1.0");
    await agent.carryOut({ kind: "retry" }, () => undefined, c);
    await host.clock.advance(5 * minute);
    await dies(host, agent);
    await until("it went back", () => host.state.current?.tag === "v1.0.0" && agent.view().busy === null);
    expect(host.told.slice(told)).toEqual(["rolled-back"]);
  });

  test.each(["crashed", "unproven"] as const)("(%s) as it is the first one is told once", async (kind) => {
    using host = new AgentHost();
    const agent = await deployed(host, ["v1.0.0"]);
    const told = host.told.length;
    const isTold: boolean[] = [];
    for (let failures = 0; failures < 12; failures++) {
      isTold.push(await dies(host, agent, kind));
      await agent.tick(c);
    }
    expect(isTold.indexOf(true)).toBe(kind === "crashed" ? 4 : 0);
    expect(isTold.filter(Boolean)).toHaveLength(1);
    expect(host.told.slice(told)).toEqual(["stranded"]);
    expect(host.outbox.events.at(-1)).toMatchObject({ why: "no good release before it is known here" });
    for (let deaths = 0; deaths < 15 && kind === "crashed"; deaths++) {
      await host.clock.advance(minute);
      await dies(host, agent);
      await agent.tick(c);
    }
    expect(host.told.slice(told)).toEqual(["stranded"]);
    // What only fails its checks is not known to be well by the time that has passed.
    await host.clock.advance(60 * minute);
    await agent.tick(c);
    expect(host.told.includes("recovered")).toBe(kind === "crashed");
  });

  test.each(["crashed", "unproven"] as const)(
    "(%s) is left once an operator has it tried again",
    async (kind) => {
      using host = new AgentHost();
      const agent = await deployed(host, ["v1.0.0", "v1.1.0"]);
      lose(host, "v1.0.0");
      await dies(host, agent, kind);
      expect(agent.view().stranded).not.toBeNull();
      host.registry.publish("v1.0.0");
      const told = host.told.length;
      await agent.carryOut({ kind: "retry" }, () => undefined, c);
      await agent.tick(c);
      expect(host.state).toMatchObject({ current: { tag: "v1.0.0" }, stranded: null });
      expect(host.told.slice(told)).toEqual(["rolled-back", "recovered"]);
    },
  );

  test("and has no way back is no trouble any more once an operator has seen it; it has not recovered", async () => {
    using host = new AgentHost();
    const agent = await deployed(host, ["v1.0.0"]);
    await dies(host, agent, "unproven");
    const told = host.told.length;
    writeFileSync(host.retryRequest, "");
    await agent.tick(c);
    await agent.tick(c);
    expect(agent.view().stranded).toBeNull();
    expect(host.told.slice(told)).toEqual([]);
    await dies(host, agent, "unproven");
    expect(host.told.slice(told)).toEqual(["stranded"]);
  });

  test("is so still when the same has to be put in place anew; nobody is told that it is well, or again", async () => {
    using host = new AgentHost();
    const agent = await stranded(host);
    const told = host.told.length;
    const before = host.state.current?.release ?? "";
    await host.clock.advance(1000);
    host.releases.remove(before);
    rmSync(join(host.root, "current"));
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect(host.state.current?.release).not.toBe(before);
    await agent.tick(c);
    for (let deaths = 0; deaths < 6; deaths++) await dies(host, agent);
    await agent.tick(c);
    expect(host.told.slice(told)).not.toContain("stranded");
    expect(host.told.slice(told)).not.toContain("recovered");
    expect(host.log.at("info")).not.toContain(records.strandingOver);
    expect(agent.view().stranded).not.toBeNull();
  });

  test("as its way back was quarantined by an agent that was then killed is known at the next one's start, with nothing tried", async () => {
    using host = new AgentHost();
    const agent = await deployed(host, ["v1.0.0", "v1.1.0"]);
    host.app.startFailure = () => new DewyError("start-failed", "no start");
    await dies(host, agent);
    await until("it is known", () => host.state.stranded !== null);
    const { current } = host.state;
    const at = host.clock.now().toISOString();
    const retreat = { release: current?.release, reason: inSoak, at, tries: 0, hasDied: true };
    const killed = { ...host.state, retreat, stranded: null };
    writeFileSync(host.statePath, JSON.stringify(killed));
    const starts: string[] = [];
    host.app.startFailure = ({ tag }) => {
      starts.push(tag);
      return null;
    };
    const next = host.agent();
    await next.begin(c);
    await next.tick(c);
    expect(starts).toEqual([]);
    expect(host.state).toMatchObject({
      current: { tag: "v1.1.0" },
      retreat: null,
      stranded: { why: "v1.0.0, which was before it, is quarantined: no start" },
    });
  });

  test("is not told as the agent is being stopped", async () => {
    using host = new AgentHost();
    await deployed(host, ["v1.0.0"]);
    const life = new AbortController();
    const agent = host.agent();
    await agent.begin(life);
    const told = host.told.length;
    const release = host.state.current?.release ?? "";
    for (let deaths = 0; deaths < 5; deaths++)
      agent.appFailed({ release, kind: "crashed", reason: "exit 1" });
    life.abort(new Error("told to stop"));
    await host.clock.advance(minute);
    expect(host.told.slice(told)).toEqual([]);
    expect(host.state.stranded).toBeNull();
  });
});

test("an operator's rollback that fails leaves no next try behind, and nothing recovers from it", async () => {
  using host = new AgentHost();
  const agent = await deployed(host, ["v1.0.0", "v1.1.0"], 0);
  lose(host, "v1.0.0");
  const told = host.told.length;
  const order = { kind: "rollback", tag: null } as const;
  await expect(agent.carryOut(order, () => undefined, c)).rejects.toMatchObject({ code: "not-found" });
  await agent.tick(c);
  expect(agent.view().failure).toBeNull();
  await agent.tick(c);
  expect(host.told.slice(told)).toEqual(["deploying", "failed"]);
  expect(host.history.read().at(-1)).toMatchObject({ result: "failed", cause: "rollback" });
});

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 21, 12, 0, seconds));
const placed = { tag: "v2", release: "b", digest: null, artifact: "a.zip", since: at(0).toISOString() };
const sinceNoon = {
  release: "b",
  reason: "it died",
  why: "nothing before",
  hint: "",
  at: at(0).toISOString(),
  diedAt: at(0).toISOString(),
  triedAt: at(0).toISOString(),
  unlike: null,
};

test.each<[string, { release?: string; diedAt?: string | null } | null, number, boolean]>([
  ["none was", null, 60, false],
  ["not for long enough", {}, 59, false],
  ["for as long as a loop takes", {}, 60, true],
  ["what only fails its checks, and nobody looks any more", { diedAt: null }, 60, false],
  ["another release than what runs", { release: "a" }, 60, false],
])("what was stranded has been calm and is well again: %s", (_, changes, seconds, isWell) => {
  const state = { ...emptyState, current: placed, stranded: changes && { ...sinceNoon, ...changes } };
  expect(isWellAgain(state, { ms: seconds * 1000 }, { withinMs: minute })).toBe(isWell);
});

test.each<[string, number, boolean]>([
  ["soon after the last try", 299, false],
  ["some minutes after it", 300, true],
  ["before it: the clock was set back", -1, true],
])("a way back that was blocked is tried again: %s", (_, seconds, isDue) => {
  expect(isTryDue({ stranded: sinceNoon }, at(seconds))).toBe(isDue);
});
