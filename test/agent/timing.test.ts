import { describe, expect, test } from "bun:test";
import { between, sighted } from "../../src/agent/sightings.ts";
import { emptyState, type State } from "../../src/agent/state.ts";
import { DewyError } from "../../src/errors.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { noOrder, tagOrder } from "../../src/release/version.ts";
import { parseWindow } from "../../src/schedule/parse.ts";
import { AgentHost } from "../support/agent-host.ts";
import { archiveOf } from "../support/memory-registry.ts";
import { until } from "../support/until.ts";

const died = new DewyError("start-failed", "it died");
const c = { signal: new AbortController().signal };
const idle = { kind: "idle" } as const;
const hourMs = 3_600_000;
const order = tagOrder(semverScheme(null));

/** Published now, by the registry's own word. */
function publish(host: AgentHost, tag: string): void {
  host.registry.publish(tag, archiveOf(tag), { createdAt: host.clock.now() });
}

async function beginning(host: AgentHost, changes: Parameters<AgentHost["agent"]>[0]) {
  const agent = host.agent(changes);
  await agent.begin(c);
  return agent;
}

describe("--min-age", () => {
  const rules = { windows: [], minAgeMs: hourMs, jitterMs: 0 };

  test("holds the first release on a host, too, and says until when", async () => {
    using host = new AgentHost();
    const agent = await beginning(host, { rules });
    publish(host, "v1.0.0");
    const due = new Date(host.clock.now().getTime() + hourMs);
    expect(await agent.tick(c)).toEqual(idle);
    expect(agent.view().waiting).toEqual({
      tag: "v1.0.0",
      reason: "v1.0.0 is not 1h old yet (--min-age)",
      until: due.toISOString(),
    });
    expect(await agent.check(c)).toMatchObject({ wouldDeploy: false, notBefore: due });
    await host.clock.advance(hourMs);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
  });

  test("counts from when this host saw it first, where nobody says when it was made; over restarts", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0");
    expect(await (await beginning(host, { rules })).tick(c)).toEqual(idle);
    await host.clock.advance(hourMs - 1);
    const agent = await beginning(host, { rules });
    expect(await agent.tick(c)).toEqual(idle);
    await host.clock.advance(1);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
  });

  test("is not starved by releases that come faster: the newest that is old enough is taken", async () => {
    using host = new AgentHost();
    const agent = await beginning(host, { rules });
    const deployed: string[] = [];
    for (let half = 0; half < 8; half++) {
      publish(host, `v1.${half}.0`);
      const outcome = await agent.tick(c);
      if (outcome.kind === "deployed") deployed.push(outcome.tag);
      await host.clock.advance(hourMs / 2);
    }
    expect(deployed).toEqual(["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0", "v1.5.0"]);
    expect(host.state.sightings.map(({ tag }) => tag)).toEqual(["v1.6.0", "v1.7.0"]);
  });

  test("asks for none of those that are known to be too young", async () => {
    using host = new AgentHost();
    const agent = await beginning(host, { rules });
    publish(host, "v1.0.0");
    await agent.tick(c);
    await host.clock.advance(hourMs);
    await agent.tick(c);
    for (const tag of ["v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0"]) {
      publish(host, tag);
      await agent.tick(c);
      await host.clock.advance(hourMs / 4);
    }
    const asked: string[] = [];
    const find = host.registry.find.bind(host.registry);
    host.registry.find = (tag) => {
      asked.push(tag);
      return find(tag);
    };
    publish(host, "v1.5.0");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect(asked).toEqual(["v1.1.0"]);
    // An older dewy did not write down when a release was made.
    const deps = host.deps({ rules });
    deps.state.learn({ sightings: host.state.sightings.map(({ tag, at }) => ({ tag, at })) });
    expect(await host.agentOf(deps).tick(c)).toEqual(idle);
    expect(asked).toEqual(["v1.1.0", "v1.4.0", "v1.3.0", "v1.2.0"]);
  });

  test("passes over what was deleted or is quarantined meanwhile", async () => {
    using host = new AgentHost();
    const agent = await beginning(host, { rules });
    publish(host, "v1.0.0");
    await agent.tick(c);
    await host.clock.advance(hourMs);
    await agent.tick(c);
    for (const tag of ["v1.1.0", "v1.2.0", "v1.3.0"]) {
      publish(host, tag);
      await agent.tick(c);
      await host.clock.advance(1000);
    }
    await host.clock.advance(hourMs);
    publish(host, "v1.4.0");
    host.registry.unpublish("v1.3.0");
    host.app.startFailure = ({ tag }) => (tag === "v1.2.0" ? died : null);
    expect(await agent.tick(c)).toMatchObject({ kind: "failed" });
    await host.clock.advance(1000);
    expect(await agent.tick(c)).toMatchObject({ kind: "deployed", tag: "v1.1.0" });
  });
});

describe("--window", () => {
  test("is not asked for the first release, and holds the next one until it opens", async () => {
    using host = new AgentHost();
    // The host's clock begins on a Saturday.
    const agent = await beginning(host, {
      rules: { windows: [parseWindow("Mon-Fri 09:00-17:00 UTC")].flat(), minAgeMs: 0, jitterMs: 0 },
    });
    publish(host, "v1.0.0");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
    await host.clock.advance(1000);
    publish(host, "v1.1.0");
    expect(await agent.tick(c)).toEqual(idle);
    expect(agent.view().waiting).toMatchObject({ tag: "v1.1.0", until: "2026-11-23T09:00:00.000Z" });
    await host.clock.advance(2 * 24 * hourMs);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });
});

describe("between two checks far apart", () => {
  const rules = { windows: [parseWindow("12:10-12:20 UTC")].flat(), minAgeMs: 0, jitterMs: 0 };
  /** Hourly checks, of which none falls into the window; v1.1.0 waits for it. */
  async function waiting(host: AgentHost) {
    await host.clock.advance(Date.parse("2026-11-21T12:00:00Z") - host.clock.now().getTime());
    const agent = await beginning(host, { rules, intervalMs: hourMs });
    publish(host, "v1.0.0");
    await agent.tick(c);
    publish(host, "v1.1.0");
    const stop = new AbortController();
    const looping = agent.run(stop);
    await until("the loop sleeps", () => agent.view().nextPollAt);
    return { agent, stop, looping };
  }

  test("the agent looks again when the window opens", async () => {
    using host = new AgentHost();
    const { agent, stop, looping } = await waiting(host);
    expect(agent.view().nextPollAt).toBe("2026-11-21T12:10:00.000Z");
    await host.clock.advance(10 * 60_000);
    await until("it is deployed", () => host.state.current?.tag === "v1.1.0");
    stop.abort(new Error("told to stop"));
    await expect(looping).rejects.toThrow("told to stop");
  });

  test("but no sooner than the registry may be asked", async () => {
    using host = new AgentHost();
    host.registry.minIntervalMs = () => hourMs / 2;
    const { agent, stop, looping } = await waiting(host);
    expect(agent.view().nextPollAt).toBe("2026-11-21T12:30:00.000Z");
    stop.abort(new Error("told to stop"));
    await expect(looping).rejects.toThrow("told to stop");
  });
});

describe("--jitter", () => {
  test("delays a release by what this host has of it, but not the first one", async () => {
    using host = new AgentHost();
    const agent = await beginning(host, { rules: { windows: [], minAgeMs: 0, jitterMs: hourMs } });
    publish(host, "v1.0.0");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
    await host.clock.advance(1000);
    publish(host, "v1.1.0");
    expect(await agent.tick(c)).toEqual(idle);
    await host.clock.advance(hourMs);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });
});

describe("sightings", () => {
  const at = new Date("2026-11-21T12:00:00Z");
  const release = (tag: string) => ({ tag, createdAt: null, artifact: null, files: [] });
  const before = "2026-11-21T11:00:00.000Z";
  const seen = (...tags: string[]): State => ({
    ...emptyState,
    sightings: tags.map((tag) => ({ tag, at: before })),
  });

  test("are kept from the first time on, at most fifty", () => {
    expect(sighted(seen("v1.0.0"), release("v1.0.0"), at)).toBeNull();
    const many = seen(...Array.from({ length: 50 }, (_, n) => `v1.${n}.0`));
    const tags = sighted(many, release("v2.0.0"), at)?.map(({ tag }) => tag) ?? [];
    expect([tags.length, tags[0], tags.at(-1)]).toEqual([50, "v1.1.0", "v2.0.0"]);
  });

  test("of a time that the clock has not reached are made anew: it was set back", () => {
    const earlier = new Date("2026-11-21T10:00:00Z");
    const tags = sighted(seen("v1.0.0"), release("v1.0.0"), earlier);
    expect(tags).toEqual([{ tag: "v1.0.0", at: earlier.toISOString(), createdAt: null }]);
  });

  test("between the current release and the newest are those of comparable tags, newest first", () => {
    const current = { tag: "v1.0.0", digest: null, artifact: "a", release: "r", since: "" };
    const state = { ...seen("v0.9.0", "v1.10.0", "v1.2.0", "v1.0.0", "v2.0.0"), current };
    expect(between(state, "v2.0.0", order)).toEqual(["v1.10.0", "v1.2.0"]);
    expect(between(state, "v2.0.0", noOrder)).toEqual([]);
  });
});
