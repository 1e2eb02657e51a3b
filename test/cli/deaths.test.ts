import { describe, expect, test } from "bun:test";
import type { Agent } from "../../src/agent/agent.ts";
import { stopNoticeMs } from "../../src/agent/back/retreat.ts";
import { tellCrash, tellLoss } from "../../src/cli/run/deaths.ts";
import type { Blame } from "../../src/errors.ts";
import { AgentHost } from "../support/agent-host.ts";
import { until } from "../support/until.ts";

const forEver = { signal: new AbortController().signal };

/** On probation: v1.1.0, before which v1.0.0 was good. */
async function probation(host: AgentHost) {
  const deps = host.deps({ soakMs: 30_000 });
  const agent: Agent = host.agentOf(deps);
  await agent.begin(forEver);
  for (const tag of ["v1.0.0", "v1.1.0"]) {
    host.registry.publish(tag);
    expect(await agent.tick(forEver)).toEqual({ kind: "deployed", tag });
    await host.clock.advance(1000);
  }
  const parts = {
    appFailed: agent.appFailed.bind(agent),
    currentTag: () => host.state.current?.tag ?? null,
    announcer: deps.announcer,
    log: host.log,
  };
  const release = host.state.current?.release ?? "";
  const how = (blame: Blame | undefined) => ({
    reason: "no start",
    delayMs: 200,
    ...(blame === undefined ? {} : { blame }),
  });
  const ways = {
    crash: (blame?: Blame, c = forEver) => tellCrash({ release, ...how(blame) }, parts, c),
    loss: (blame?: Blame, c = forEver) =>
      tellLoss(
        { kind: "not-started", version: "v1.1.0", image: release, name: null, ...how(blame) },
        parts,
        c,
      ),
  };
  return { agent, ways };
}

const kinds = { crash: "crashed", loss: "replica-lost" } as const;

describe.each(["crash", "loss"] as const)("a %s in the soak", (way) => {
  test.each(["environment", "operator"] as const)(
    "by fault of the %s is told, and undoes nothing",
    async (blame) => {
      using host = new AgentHost();
      const { ways } = await probation(host);
      const told = host.told.length;
      for (let times = 0; times < 10; times++) ways[way](blame);
      await host.clock.advance(stopNoticeMs);
      expect(host.told.slice(told)).toContain(kinds[way]);
      expect(host.state).toMatchObject({ current: { tag: "v1.1.0" }, retreat: null, quarantine: [] });
    },
  );

  test.each(["release", undefined] as const)(
    "by fault of the release (%p) undoes its deploy",
    async (blame) => {
      using host = new AgentHost();
      const { agent, ways } = await probation(host);
      const told = host.told.length;
      ways[way](blame);
      await host.clock.advance(stopNoticeMs);
      await until("it went back", () => host.state.current?.tag === "v1.0.0" && agent.view().busy === null);
      expect(host.told.slice(told)).toEqual(["rolled-back"]);
    },
  );

  test("while dewy is being stopped is nothing to tell", async () => {
    using host = new AgentHost();
    const { ways } = await probation(host);
    const told = host.told.length;
    ways[way]("release", { signal: AbortSignal.abort() });
    await host.clock.advance(stopNoticeMs);
    expect(host.told.slice(told)).toEqual([]);
    expect(host.log.at("error")).toEqual([]);
    expect(host.state.retreat).toBeNull();
  });
});
