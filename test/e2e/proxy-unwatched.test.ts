import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunningDewy } from "../support/dewy.ts";
import { privateApp } from "../support/private-app.ts";
import { isAlive, Proxied, privateCommand } from "../support/proxied.ts";
import { until } from "../support/until.ts";

const soak = ["--soak", "10m"] as const;

/** v2.0.0 has replaced v1.0.0 behind the proxy. */
async function movedOn(host: Proxied, flags: readonly string[] = soak): Promise<RunningDewy> {
  const agent = await host.serving("v1.0.0", flags);
  host.publishMode("v2.0.0");
  await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
  await until("the old ones are gone", () =>
    host.processes.every(({ release }) => host.currentLink().endsWith(release)),
  );
  return agent;
}

async function die(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("they are gone", () => !pids.some(isAlive));
}

const goneBack = (host: Proxied) => host.history().filter(({ result }) => result === "rolled-back");

const reason = "it died in its soak: it ended while no agent watched it";

describe("in a soak, processes that die while the agent is dead", () => {
  test.each([1, 2])(
    "(%p of two) bring the version before back, once",
    async (count) => {
      await using host = new Proxied();
      const agent = await movedOn(host);
      await agent.stop("SIGKILL");
      await die(host.pids.slice(0, count));
      const next = host.agent(soak);
      await next.logged("Replica lost", { error: "it ended while no agent watched it" }, 60_000);
      await next.logged("Went back to the release before", {}, 60_000);
      await host.serves("v1.0.0");
      await next.logged("Deploy skipped", { reason: "quarantined", tag: "v2.0.0" });
      await until("it is in the history", () => goneBack(host).length === 1);
      expect(goneBack(host)).toMatchObject([{ tag: "v1.0.0", cause: "retreat", error: reason }]);
      expect(host.state().quarantine).toMatchObject([{ tag: "v2.0.0", reason }]);
      await next.stop("SIGKILL");
      const again = host.agent(soak);
      await again.logged("Deploy skipped", { reason: "quarantined", tag: "v2.0.0" }, 60_000);
      await host.serves("v1.0.0");
      expect(await again.stop()).toBe(0);
      expect([...next.errors(), ...again.errors()]).toEqual([]);
      expect(goneBack(host)).toHaveLength(1);
    },
    180_000,
  );

  test.each<[string, (host: Proxied, agent: RunningDewy) => Promise<Record<string, string>>]>([
    [
      "dewy was told to stop",
      async (_, agent) => {
        expect(await agent.stop()).toBe(0);
        return {};
      },
    ],
    [
      "the unit was killed as a whole and started anew",
      async (host, agent) => {
        await agent.stop("SIGKILL");
        await die(host.pids);
        return { INVOCATION_ID: "another" };
      },
    ],
    [
      "another kind of agent has done away with them",
      async (host, agent) => {
        await agent.stop("SIGKILL");
        await die(host.pids);
        const between = host.assets();
        await until("it has", () => !existsSync(join(host.root, ".dewy/replicas.json")));
        await between.stop("SIGKILL");
        return {};
      },
    ],
  ])(
    "do not count where %s",
    async (_, end) => {
      await using host = new Proxied();
      const env = await end(host, await movedOn(host));
      const flags = ["--proxy", "--replicas", "2", ...soak];
      const next = host.server(flags, privateCommand, env);
      await host.serves("v2.0.0");
      await next.logged("Deploy skipped", { reason: "current", tag: "v2.0.0" }, 60_000);
      expect(await next.stop()).toBe(0);
      expect(next.errors()).toEqual([]);
      expect(goneBack(host)).toEqual([]);
      expect(host.state().quarantine).toEqual([]);
    },
    180_000,
  );

  test("do not count where dewy was told to stop, and was killed while it waited for others to end", async () => {
    await using host = new Proxied();
    const flags = [...soak, "--stop-timeout", "10m"];
    const files = { "app.ts": privateApp("v1.0.0", "stubborn") };
    const agent = await host.serving("v1.0.0", flags, { files });
    const stubborn = host.pids;
    host.publishMode("v2.0.0");
    await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
    const areStopping = (which: (pid: number) => boolean) =>
      host.processes.every(({ pid, stopping }) => stopping || !which(pid));
    await until("the ones before are told", () => areStopping((pid) => stubborn.includes(pid)));
    process.kill(agent.pid, "SIGTERM");
    await until("it is noted", () => areStopping(() => true));
    await agent.stop("SIGKILL");
    await die(host.pids);
    const next = host.agent(flags);
    await host.serves("v2.0.0");
    await next.logged("Deploy skipped", { reason: "current", tag: "v2.0.0" }, 60_000);
    expect(goneBack(host)).toEqual([]);
    expect(host.state().quarantine).toEqual([]);
  }, 180_000);
});

test("a death that no agent saw counts for a crash loop, of the process that goes on dying", async () => {
  await using host = new Proxied();
  const one = ["--replicas", "1"];
  const agent = await movedOn(host, one);
  await agent.stop("SIGKILL");
  await die(host.pids);
  const next = host.agent(one);
  for (let deaths = 2; deaths <= 5; deaths++) {
    await host.serves("v2.0.0");
    await die(host.pids);
  }
  await next.logged("Went back to the release before", {}, 60_000);
  await host.serves("v1.0.0");
  expect(host.state().quarantine).toMatchObject([
    { tag: "v2.0.0", reason: expect.stringContaining("it died 5 times within 10 minutes") },
  ]);
}, 180_000);
