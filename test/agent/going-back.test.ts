import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "../../src/agent/agent.ts";
import {
  type AppFailure,
  Deaths,
  type Reaction,
  reactTo,
  usualCrashLoop,
} from "../../src/agent/back/going-back.ts";
import { stopNoticeMs } from "../../src/agent/back/retreat.ts";
import { deploySteps } from "../../src/agent/deploy/deploy.ts";
import { emptyState, type State } from "../../src/agent/state.ts";
import { DewyError } from "../../src/errors.ts";
import { AgentHost } from "../support/agent-host.ts";
import { archiveOf } from "../support/memory-registry.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const now = new Date("2026-11-21T12:00:00Z");
const seconds = (count: number) => new Date(now.getTime() + count * 1000).toISOString();
const placed = (tag: string, release: string) => ({
  tag,
  release,
  digest: `sha256:${tag.replace(/\W/g, "").padEnd(64, "0")}` as const,
  artifact: "app.zip",
  since: seconds(-60),
});
const [v1, v2] = [placed("v1.0.0", "20261121T110000Z"), placed("v2.0.0", "20261121T120000Z")];
const soak = { release: v2.release, since: seconds(-10), until: seconds(20) };
const state: State = { ...emptyState, current: v2, previous: v1 };
const crashed: AppFailure = { release: v2.release, kind: "crashed", reason: "exit 1" };
const sick: AppFailure = { ...crashed, kind: "sick", reason: "status 500" };
const quarantined = { tag: v1.tag, digest: v1.digest, fingerprint: "", reason: "died", at: seconds(-5) };

const unproven: AppFailure = { ...sick, kind: "unproven" };
const nothingBefore = "no good release before it is known here";
const inSoak = "it died in its soak: exit 1";
const stranded = {
  release: v2.release,
  reason: "it died in its soak",
  why: "v1.0.0 can't be had",
  hint: "publish a fixed version",
  at: seconds(-400),
  diedAt: seconds(-10),
  triedAt: seconds(-299),
  unlike: null,
};

function described(reaction: Reaction): string {
  if (reaction.kind === "stay") return "stays";
  return `${reaction.kind === "go-back" ? reaction.to.tag : reaction.why}: ${reaction.reason}`;
}

describe("what a failure of the app leads to", () => {
  test.each<[string, AppFailure, Partial<State>, number, string]>([
    ["a death in the soak", crashed, { soak }, 1, "v1.0.0: it died in its soak: exit 1"],
    ["failed checks in the soak", sick, { soak }, 0, "v1.0.0: it failed its checks in its soak: status 500"],
    ["a death at the soak's end", crashed, { soak: { ...soak, until: seconds(0) } }, 1, "stays"],
    [
      "a death before the soak began: the clock was set back",
      crashed,
      { soak: { ...soak, since: seconds(1) } },
      1,
      "stays",
    ],
    ["a death in another release's soak", crashed, { soak: { ...soak, release: v1.release } }, 1, "stays"],
    ["one death too few for a loop", crashed, {}, 4, "stays"],
    ["a crash loop", crashed, {}, 5, "v1.0.0: it died 5 times within 10 minutes: exit 1"],
    ["failed checks after the soak", sick, {}, 5, "stays"],
    ["a death of what was gone back to", crashed, { origin: "retreat" }, 1, "stays"],
    [
      "a loop of what was gone back to",
      crashed,
      { origin: "retreat" },
      9,
      "v2.0.0 is what dewy went back to, which it does once: it died 9 times within 10 minutes: exit 1",
    ],
    [
      "a loop of what an operator went back to",
      crashed,
      { origin: "rollback" },
      9,
      "an operator went back to v2.0.0: it died 9 times within 10 minutes: exit 1",
    ],
    [
      "what never got well, with nothing before",
      unproven,
      { previous: null },
      0,
      `${nothingBefore}: status 500`,
    ],
    ["one more death of what is stranded", crashed, { stranded }, 9, "stays"],
    [
      "a death of what is stranded, long after the last try",
      crashed,
      { stranded: { ...stranded, triedAt: seconds(-300) } },
      1,
      "v1.0.0: it died in its soak",
    ],
    [
      "failed checks of what is stranded, long after the last try",
      sick,
      { stranded: { ...stranded, triedAt: seconds(-300) } },
      1,
      "stays",
    ],
    [
      "a loop after another release was stranded",
      crashed,
      { stranded: { ...stranded, release: v1.release } },
      5,
      "v1.0.0: it died 5 times within 10 minutes: exit 1",
    ],
    [
      "a loop of what an operator deployed",
      crashed,
      { origin: "deploy" },
      5,
      "v1.0.0: it died 5 times within 10 minutes: exit 1",
    ],
    ["a death with nothing before", crashed, { soak, previous: null }, 1, `${nothingBefore}: ${inSoak}`],
    ["a death with the same before", crashed, { soak, previous: v2 }, 1, `${nothingBefore}: ${inSoak}`],
    [
      "a death with a bad one before",
      crashed,
      { soak, quarantine: [quarantined] },
      1,
      `v1.0.0, which was before it, is quarantined: died: ${inSoak}`,
    ],
    ["a death of another release", { ...crashed, release: v1.release }, { soak }, 1, "stays"],
    ["a death with nothing deployed", crashed, { soak, current: null }, 1, "stays"],
  ])("%s", (_, failure, changes, deaths, outcome) => {
    const reaction = reactTo(failure, { ...state, ...changes }, { now, deaths, loop: usualCrashLoop });
    expect(described(reaction)).toBe(outcome);
  });

  test("only deaths of one release within the loop's time count", () => {
    const deaths = new Deaths();
    const loop = { deaths: 3, withinMs: 1000 };
    expect([0, 500, 999].map((ms) => deaths.count({ release: "a" }, ms, loop))).toEqual([1, 2, 3]);
    expect(deaths.count({ release: "a" }, 1500, loop)).toBe(2);
    expect(deaths.count({ release: "b" }, 1501, loop)).toBe(1);
  });

  test("deaths of different copies are no loop", () => {
    const deaths = new Deaths();
    const counted = ["1", "2", "3", "1"].map((slot) =>
      deaths.count({ release: "a", slot }, 0, usualCrashLoop),
    );
    expect(counted).toEqual([1, 1, 1, 2]);
  });
});

/** A host on which v1.0.0 was replaced by v1.1.0, and its agent. */
async function moved(host: AgentHost, changes: Parameters<AgentHost["agent"]>[0] = {}): Promise<Agent> {
  const agent = host.agent({ soakMs: 30_000, ...changes });
  await agent.begin(c);
  for (const tag of ["v1.0.0", "v1.1.0"]) {
    host.registry.publish(tag);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag });
    await host.clock.advance(1000);
  }
  return agent;
}

const failureOf = (host: AgentHost, kind: AppFailure["kind"] = "crashed"): AppFailure => ({
  release: host.state.current?.release ?? "",
  kind,
  reason: "exit 1",
});

/** The app fails, and no stop of the agent follows. */
async function fails(host: AgentHost, agent: Agent, kind: AppFailure["kind"] = "crashed"): Promise<boolean> {
  const goesBack = agent.appFailed(failureOf(host, kind));
  await host.clock.advance(stopNoticeMs);
  return goesBack;
}

const isBack = (host: AgentHost, agent: Agent) =>
  until("it went back", () => host.state.current?.tag === "v1.0.0" && agent.view().busy === null);

describe("a release that fails in its soak", () => {
  test.each(["crashed", "sick"] as const)(
    "(%s) is left at once: link, state, quarantine, history, log, one notice",
    async (kind) => {
      using host = new AgentHost();
      const agent = await moved(host);
      const told = host.told.length;
      const { current, previous } = host.state;
      expect(agent.view().soakUntil).toBe(host.state.soak?.until ?? "");
      expect(await fails(host, agent, kind)).toBe(true);
      await isBack(host, agent);
      const why =
        kind === "crashed" ? "it died in its soak: exit 1" : "it failed its checks in its soak: exit 1";
      expect(host.current).toBe("v1.0.0");
      expect(host.state).toMatchObject({
        current: { tag: "v1.0.0", release: previous?.release ?? "" },
        previous: null,
        retreat: null,
        soak: null,
        origin: "retreat",
        quarantine: [{ tag: "v1.1.0", digest: current?.digest ?? "", reason: why }],
      });
      expect(host.told.slice(told)).toEqual(["rolled-back"]);
      expect(host.outbox.events.at(-1)).toEqual({
        kind: "rolled-back",
        tag: "v1.0.0",
        fromTag: "v1.1.0",
        reason: why,
      });
      expect(host.history.read().at(-1)).toMatchObject({
        tag: "v1.0.0",
        fromTag: "v1.1.0",
        result: "rolled-back",
        error: why,
      });
      expect(host.log.at("warn")).toEqual([
        "Going back to the release before",
        "Went back to the release before",
      ]);
      expect(agent.view().lastError?.message).toBe("exit 1");
    },
  );

  test("is not tried again until it changes, over restarts, and a newer one is", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    await fails(host, agent);
    await isBack(host, agent);
    const next = host.agent({ soakMs: 30_000 });
    await next.begin(c);
    await host.clock.advance(3_600_000);
    expect(await next.tick(c)).toEqual({ kind: "idle" });
    expect(next.view().waiting).toMatchObject({
      tag: "v1.1.0",
      reason: expect.stringContaining("quarantined"),
    });
    // The same bytes under a new upload fail for what they failed for.
    host.registry.publish("v1.1.0");
    expect(await next.tick(c)).toMatchObject({ kind: "failed" });
    host.registry.publish("v1.1.0", archiveOf("fixed"));
    expect(await next.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("is left once: what was gone back to stays, though it fails too", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    await fails(host, agent);
    await isBack(host, agent);
    const told = host.told.length;
    for (let deaths = 1; deaths <= 10; deaths++) expect(await fails(host, agent)).toBe(deaths === 5);
    expect(host.told.slice(told)).toEqual(["stranded"]);
    expect(host.current).toBe("v1.0.0");
  });

  test("makes a newer one wait until the soak is over", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    host.registry.publish("v1.2.0");
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(agent.view().waiting).toMatchObject({
      tag: "v1.2.0",
      reason: "v1.1.0 is on probation (--soak)",
      until: host.state.soak?.until ?? "",
    });
    expect(await agent.check(c)).toMatchObject({ wouldDeploy: false, notBefore: expect.any(Date) });
    await host.clock.advance(30_000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.2.0" });
    expect(host.log.at("info")).toContain("Soak passed");
    expect(host.state.previous).toMatchObject({ tag: "v1.1.0" });
  });

  test("and that an operator moved on from is no good one to go back to", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    host.registry.publish("v1.2.0");
    await agent.carryOut({ kind: "deploy", tag: "v1.2.0" }, () => undefined, c);
    expect(host.state.previous).toMatchObject({ tag: "v1.0.0" });
    await fails(host, agent);
    await isBack(host, agent);
  });

  test("and that an operator chose is left for the newer one, which nothing holds any more", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    await agent.carryOut({ kind: "deploy", tag: "v1.0.0" }, () => undefined, c);
    expect(host.state).toMatchObject({ hold: { left: "v1.1.0" }, soak: null });
    await host.clock.advance(60_000);
    await agent.carryOut({ kind: "deploy", tag: "v1.1.0" }, () => undefined, c);
    await host.clock.advance(60_000);
    await agent.carryOut({ kind: "deploy", tag: "v1.0.0" }, () => undefined, c);
    await fails(host, agent);
    await until("it went back", () => host.state.current?.tag === "v1.1.0" && agent.view().busy === null);
    expect(host.state).toMatchObject({ hold: null, quarantine: [{ tag: "v1.0.0" }] });
    host.registry.publish("v1.2.0");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.2.0" });
  });

  test("has no soak when it is the first one", async () => {
    using host = new AgentHost();
    const agent = host.agent({ soakMs: 30_000 });
    await agent.begin(c);
    host.registry.publish("v1.0.0");
    await agent.tick(c);
    expect(host.state.soak).toBeNull();
    expect(await fails(host, agent)).toBe(false);
    host.registry.publish("v1.1.0");
    await host.clock.advance(1000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("while an order is under way is left after it, unless that has put another in its place", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    host.registry.publish("v1.2.0");
    const failure = failureOf(host);
    const deploying = agent.carryOut({ kind: "deploy", tag: "v1.2.0" }, () => undefined, c);
    expect(agent.appFailed(failure)).toBe(true);
    await host.clock.advance(stopNoticeMs);
    await deploying;
    await until("the agent is idle", () => agent.view().busy === null);
    expect(host.current).toBe("v1.2.0");
    expect(host.state).toMatchObject({ retreat: null, quarantine: [] });
  });
});

describe("a crash loop", () => {
  test("of a release with a good one before goes back, long after its soak", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    await host.clock.advance(24 * 3_600_000);
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    for (let deaths = 1; deaths < 5; deaths++) {
      expect(await fails(host, agent)).toBe(false);
      await host.clock.advance(60_000);
    }
    expect(await fails(host, agent)).toBe(true);
    await isBack(host, agent);
    expect(host.state.quarantine).toMatchObject([{ tag: "v1.1.0" }]);
  });

  test("is none when all copies die once: what they share was down", async () => {
    using host = new AgentHost();
    const agent = await moved(host, { soakMs: 0 });
    const died = (slot: string) => agent.appFailed({ ...failureOf(host), slot });
    const copies = Array.from({ length: 10 }, (_, index) => `app-${index}`);
    expect(copies.map(died)).not.toContain(true);
    for (let deaths = 2; deaths < 5; deaths++) expect(died("app-1")).toBe(false);
    expect(died("app-1")).toBe(true);
  });

  test("is none when the deaths are far apart", async () => {
    using host = new AgentHost();
    const agent = await moved(host, { soakMs: 0 });
    for (let deaths = 0; deaths < 20; deaths++) {
      expect(await fails(host, agent)).toBe(false);
      await host.clock.advance(150_000);
    }
  });
});

describe("a way back that fails", () => {
  test("by its release's fault is given up, and people are told", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    host.app.startFailure = () => new DewyError("start-failed", "no start");
    const told = host.told.length;
    expect(await fails(host, agent)).toBe(true);
    await until("it is given up", () => host.state.retreat === null && host.state.stranded !== null);
    expect(host.current).toBe("v1.1.0");
    expect(host.state.quarantine).toMatchObject([{ tag: "v1.0.0", reason: "no start" }]);
    expect(host.told.slice(told)).toEqual(["stranded"]);
    expect(host.outbox.events.at(-1)).toMatchObject({
      tag: "v1.1.0",
      reason: "it died in its soak: exit 1",
      why: "v1.0.0, which was before it, does not work either: no start",
    });
    expect(host.history.read().at(-1)).toMatchObject({ tag: "v1.0.0", result: "failed", cause: "retreat" });
    expect(await fails(host, agent)).toBe(false);
  });

  test("by the host's fault is tried again, later and later, until it works", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    let tries = 0;
    host.app.startFailure = () => (++tries < 7 ? new DewyError("disk-full", "no space") : null);
    await fails(host, agent);
    await until("it has failed once", () => tries === 1 && agent.view().busy === null);
    const nextTryAt = () => new Date(host.state.retreat?.nextTryAt ?? 0).getTime();
    expect(host.state.retreat).toMatchObject({ tries: 1 });
    for (let failed = 1; failed < 7; failed++) {
      const waitMs = nextTryAt() - host.clock.now().getTime();
      expect(waitMs).toBe(Math.min(300_000, 10_000 * 2 ** (failed - 1)));
      await agent.tick(c);
      expect(tries).toBe(failed);
      await host.clock.advance(waitMs);
      await agent.tick(c);
    }
    expect(host.current).toBe("v1.0.0");
    expect(host.state).toMatchObject({ retreat: null, quarantine: [{ tag: "v1.1.0" }] });
    expect(host.told).not.toContain("stranded");
  });

  test("is none by a failing hook, which would abort a deploy", async () => {
    using host = new AgentHost();
    const hooks = { before: "! test -e broken", after: null, onFailure: "abort", timeoutMs: 60_000 } as const;
    const agent = await moved(host, { hooks });
    writeFileSync(join(host.root, "broken"), "");
    await fails(host, agent);
    await isBack(host, agent);
    expect(host.log.at("error")).toContain("Before deploy hook failure");
  });

  test("by the agent's end is not counted", async () => {
    using host = new AgentHost();
    await moved(host);
    const life = new AbortController();
    const agent = host.agent({ soakMs: 30_000 });
    await agent.begin(life);
    host.app.startFailure = () => {
      life.abort(new Error("told to stop"));
      return new DewyError("disk-full", "no space");
    };
    await fails(host, agent);
    await until("it has ended", () => life.signal.aborted && agent.view().busy === null);
    expect(host.state.retreat).toMatchObject({ tries: 0 });
    expect(host.state.retreat?.nextTryAt).toBeUndefined();
  });

  test("as an older dewy wrote it down is tried at once", async () => {
    using host = new AgentHost();
    await moved(host);
    const { release = "" } = host.state.current ?? {};
    host.deps().state.update({ retreat: { release, reason: "it died", at: now.toISOString(), tries: 2 } });
    const agent = host.agent();
    await agent.begin(c);
    await agent.tick(c);
    expect(host.current).toBe("v1.0.0");
  });
});

describe("a death as the agent is being stopped", () => {
  test.each([0, 1, stopNoticeMs - 1])(
    "is none of the release: the stop comes %p ms after",
    async (afterMs) => {
      using host = new AgentHost();
      await moved(host);
      const life = new AbortController();
      const agent = host.agent({ soakMs: 30_000 });
      await agent.begin(life);
      expect(agent.appFailed(failureOf(host))).toBe(true);
      await host.clock.advance(afterMs);
      life.abort(new Error("told to stop"));
      expect(agent.appFailed(failureOf(host))).toBe(false);
      await host.clock.advance(60_000);
      expect(host.state).toMatchObject({ retreat: null, quarantine: [], current: { tag: "v1.1.0" } });
      expect(host.log.at("warn")).toEqual([]);
      const next = host.agent({ soakMs: 30_000 });
      await next.begin(c);
      expect(await next.tick(c)).toEqual({ kind: "idle" });
      expect(host.current).toBe("v1.1.0");
    },
  );

  test("counts when no stop comes", async () => {
    using host = new AgentHost();
    const agent = await moved(host);
    expect(agent.appFailed(failureOf(host))).toBe(true);
    await host.clock.advance(stopNoticeMs - 1);
    expect(host.state.retreat).toBeNull();
    await host.clock.advance(1);
    await isBack(host, agent);
  });
});

describe("kill -9 of the agent on the way back", () => {
  const points = ["decided", ...deploySteps] as const;
  test.each(points)("at %s: the next one is there, and it is told once", async (point) => {
    using host = new AgentHost();
    await moved(host);
    const snapshots = new Map<string, AgentHost>();
    const agent = host.agent({
      soakMs: 30_000,
      onStep: (step) => void snapshots.set(step, new AgentHost(host)),
    });
    await agent.begin(c);
    agent.appFailed(failureOf(host, "sick"));
    snapshots.set("decided", new AgentHost(host));
    await isBack(host, agent);
    for (const [name, other] of snapshots) if (name !== point) other[Symbol.dispose]();
    using next = snapshots.get(point) ?? new AgentHost();
    expect(next.current).not.toBeNull();
    // Long after the soak: what was decided in it counts.
    await next.clock.advance(3_600_000);
    const again = next.agent({ soakMs: 30_000 });
    await again.begin(c);
    expect(await again.tick(c)).toEqual({ kind: "idle" });
    expect(next.current).toBe("v1.0.0");
    expect(next.state).toMatchObject({
      current: { tag: "v1.0.0" },
      retreat: null,
      attempt: null,
      quarantine: [{ tag: "v1.1.0" }],
    });
    expect(next.told.filter((kind) => kind === "rolled-back")).toHaveLength(1);
    expect(next.history.read().filter(({ result }) => result === "rolled-back")).toHaveLength(1);
    expect(next.releases.list()).toHaveLength(2);
  });

  test("from a release that is not the current one any more is beside the point", async () => {
    using host = new AgentHost();
    await moved(host);
    const retreat = { release: "20200101T000000Z", reason: "it died", at: now.toISOString(), tries: 0 };
    host.deps().state.update({ retreat });
    const agent = host.agent();
    await agent.begin(c);
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.state).toMatchObject({ retreat: null, current: { tag: "v1.1.0" }, quarantine: [] });
  });

  test("in the soak changes nothing: it lasts as long as it would have", async () => {
    using host = new AgentHost();
    await moved(host);
    const agent = host.agent({ soakMs: 30_000 });
    await agent.begin(c);
    await host.clock.advance(20_000);
    expect(await fails(host, agent)).toBe(true);
    await isBack(host, agent);
  });
});
