import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import type { DeliveryStatus } from "../../src/activate/delivery.ts";
import { type DeployStep, deploySteps } from "../../src/agent/deploy/deploy.ts";
import { pauseUntilNextCheck } from "../../src/agent/pace.ts";
import { DewyError } from "../../src/errors.ts";
import type { Digest } from "../../src/release/release.ts";
import { AgentHost } from "../support/agent-host.ts";
import { archiveOf, artifactName } from "../support/memory-registry.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const died = new DewyError("start-failed", "the new server exited with code 1 right after its start");

/** A host on which `tag` runs, and its agent. */
async function running(host: AgentHost, tag: string, changes: Parameters<AgentHost["agent"]>[0] = {}) {
  host.registry.publish(tag);
  const agent = host.agent(changes);
  await agent.begin(c);
  expect(await agent.tick(c)).toEqual({ kind: "deployed", tag });
  await host.clock.advance(1000);
  return agent;
}

const workInProgress = (host: AgentHost) => [
  ...readdirSync(host.releases.path).filter((name) => name.startsWith(".")),
  ...(existsSync(join(host.root, ".dewy/tmp")) ? readdirSync(join(host.root, ".dewy/tmp")) : []),
];

describe("a check", () => {
  test("that finds a release deploys it: link, state, history, cache, people", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    expect(host.current).toBe("v1.0.0");
    expect(host.state).toMatchObject({
      current: { tag: "v1.0.0", artifact: artifactName, digest: expect.stringMatching(/^sha256:/) },
      previous: null,
      attempt: null,
      failure: null,
    });
    expect(host.told).toEqual(["deploying", "downloaded", "deployed"]);
    expect(workInProgress(host)).toEqual([]);
    expect(host.log.at("error")).toEqual([]);
    expect(host.log.at("warn")).toEqual([]);
  });

  test("that finds nothing new does nothing and says so at DEBUG", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.log.records.at(-1)).toMatchObject({
      level: "debug",
      message: "Deploy skipped",
      attributes: { reason: "current", tag: "v1.0.0" },
    });
    expect(host.told).toHaveLength(3);
  });

  test("that finds other content under the tag that runs leaves it, and says so once", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    const digest: Digest = `sha256:${"a".repeat(64)}`;
    host.registry.publish("v1.0.0", archiveOf("other"), { digest });
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.log.at("warn")).toEqual(["Tag was published again with other content; what runs stays"]);
    expect(host.current).toBe("v1.0.0");
  });

  test("that finds a newer one moves on, and remembers the last good one", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect(host.state).toMatchObject({ current: { tag: "v1.1.0" }, previous: { tag: "v1.0.0" } });
    expect(host.outbox.events.at(-1)).toMatchObject({
      kind: "deployed",
      how: "restarted",
      fromTag: "v1.0.0",
    });
  });

  test("that finds the newest deleted goes back, without a download", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    await agent.tick(c);
    host.registry.unpublish("v1.1.0");
    await host.clock.advance(1000);
    const opened = host.registry.opened;
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
    expect(host.registry.opened).toBe(opened);
    expect(host.current).toBe("v1.0.0");
    expect(host.history.read().at(-1)).toMatchObject({ tag: "v1.0.0", fromTag: "v1.1.0" });
  });

  test("that the registry does not answer is a failure, not an exception, and nothing changes", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.failures.latest = new DewyError("network-unreachable", "no route", {
      hint: "see the cable",
    });
    expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { exitCode: 2 } });
    expect(host.log.records.at(-1)).toMatchObject({
      level: "error",
      message: "Dewy run failure",
      attributes: { error: "no route", hint: "see the cable" },
    });
    expect(host.outbox.events.at(-1)).toEqual({
      kind: "failed",
      tag: null,
      message: "no route",
      hint: "see the cable",
      servingTag: "v1.0.0",
      run: { count: 1, lastUntil: "over" },
    });
    host.registry.failures = {};
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
  });

  test("a registry that stays away is told of once, over restarts too, and when it is back", async () => {
    using host = new AgentHost();
    let agent = await running(host, "v1.0.0");
    const told = host.told.length;
    const away = async (code: "network-unreachable" | "rate-limited") => {
      host.registry.failures.latest = new DewyError(code, "away");
      expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { code } });
    };
    await away("network-unreachable");
    await away("rate-limited");
    agent = host.agent();
    await agent.begin(c);
    await away("network-unreachable");
    await away("network-unreachable");
    expect(host.told.slice(told)).toEqual(["failed"]);
    expect(host.log.at("error").filter((message) => message === "Dewy run failure")).toHaveLength(4);
    host.registry.failures = {};
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.told.slice(told + 1)).toEqual(["recovered"]);
    expect(host.outbox.events.at(-1)).toMatchObject({ trouble: "check", errors: 4, heldBack: 3 });
    await away("network-unreachable");
    expect(host.told.slice(told + 2)).toEqual(["failed"]);
  });

  test.each([
    ["a plain error", new Error("surprise"), "internal"],
    ["a text", "surprise", "internal"],
    ["a deadline", new DOMException("late", "TimeoutError"), "network-timeout"],
  ])("that ends with %s is a failure too", async (_, thrown, code) => {
    using host = new AgentHost();
    host.registry.failures.latest = thrown;
    expect(await host.agent().tick(c)).toMatchObject({ kind: "failed", failure: { code } });
  });

  test("that finds nothing for this host says so once, and again when that was over", async () => {
    using host = new AgentHost();
    const agent = host.agent();
    for (let ticks = 0; ticks < 3; ticks++) expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.log.at("warn")).toEqual(["The registry has no release for this host"]);
    host.registry.publish("v1.0.0");
    await agent.tick(c);
    await agent.tick(c);
    host.registry.unpublish("v1.0.0");
    await agent.tick(c);
    expect(host.log.at("warn")).toHaveLength(2);
  });

  test("of a release without artifact waits, and warns once a release", async () => {
    using host = new AgentHost();
    const agent = host.agent();
    host.registry.publish("v1.0.0", null, { createdAt: host.clock.now() });
    for (let ticks = 0; ticks < 3; ticks++) expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.log.at("warn")).toEqual(["Release has no artifact yet; waiting for it"]);
    expect(
      host.log.at("debug").filter((text) => text === "Artifact not found within grace period"),
    ).toHaveLength(3);
    host.registry.publish("v1.1.0", null, { createdAt: host.clock.now() });
    await agent.tick(c);
    expect(host.log.at("warn")).toHaveLength(2);
    expect(host.told).toEqual([]);
    await host.clock.advance(30 * 60_000);
    expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { code: "artifact-missing" } });
    expect(host.log.at("error")).toEqual(["Dewy run failure"]);
    host.registry.publish("v1.1.0");
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("that finds an app that died well again says so, whether the registry answers or not", async () => {
    using host = new AgentHost();
    const deps = host.deps();
    let status: DeliveryStatus = { kind: "down", reason: "exit 1" };
    deps.delivery.status = () => status;
    const agent = host.agentOf(deps);
    deps.announcer.tell({ kind: "crashed", tag: "v1.0.0", reason: "exit 1", delayMs: 400 });
    await agent.tick(c);
    const serving = { kind: "serving", release: "r", pid: null, replicas: 2 } as const;
    status = { ...serving, inRotation: 1 };
    await agent.tick(c);
    expect(host.told).toEqual(["crashed"]);
    status = { ...serving, inRotation: 2 };
    host.registry.failures.latest = new DewyError("network-unreachable", "away");
    await agent.tick(c);
    expect(host.told).toEqual(["crashed", "failed", "recovered"]);
  });

  test("that takes unusually long is told of", async () => {
    using host = new AgentHost();
    const { promise, resolve } = Promise.withResolvers<{ release: null; otherSlot: null }>();
    host.registry.latest = () => promise;
    const ticking = host.agent().tick(c);
    await host.clock.advance(15 * 60_000);
    expect(host.log.at("warn")).toEqual(["A check takes unusually long"]);
    resolve({ release: null, otherSlot: null });
    expect(await ticking).toEqual({ kind: "idle" });
    expect(host.clock.sleeping).toBe(0);
  });
});

describe("a deploy that is tried again", () => {
  test("has not recovered between two tries, but when it works", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0");
    const agent = host.agent();
    host.app.startFailure = () => died;
    await agent.tick(c);
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.told).toEqual(["deploying", "downloaded", "failed"]);
    host.app.startFailure = () => null;
    await host.clock.advance(10_000);
    await agent.tick(c);
    expect(host.told.slice(3)).toEqual(["deployed", "recovered"]);
    expect(host.outbox.events.at(-1)).toMatchObject({ trouble: "deploy", errors: 1, durationMs: 10_000 });
  });
});

describe("a deploy whose telling was cut short", () => {
  test("after the commit is told by the next agent, once", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    const told = host.told.length;
    const [record] = host.history.read();
    if (record === undefined) throw new Error("no history");
    const { state } = host.deps();
    // As after a kill -9 right behind the commit of another deploy.
    state.update({ unreported: { ...record, id: "another", fromTag: "v0.9.0" } });
    for (let starts = 0; starts < 2; starts++) await host.agent().begin(c);
    expect(host.told.slice(told)).toEqual(["deployed"]);
    expect(host.outbox.events.at(-1)).toMatchObject({ tag: "v1.0.0", fromTag: "v0.9.0", how: "restarted" });
  });

  test("goes into the thread that its release brought along", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    const [record] = host.history.read();
    const { current } = host.state;
    if (record === undefined || current === null) throw new Error("no history");
    writeFileSync(join(host.releases.path, current.release, ".slack-thread-ts"), "1503435956.000247");
    host.deps().state.update({ unreported: { ...record, id: "another" } });
    await host.agent().begin(c);
    expect(host.outbox.told.at(-1)).toMatchObject({ origin: { thread: "1503435956.000247" } });
  });
});

describe("the thread that a release brings along", () => {
  test("is that of the notices from its staging on, failures included", async () => {
    using host = new AgentHost();
    const thread = "1503435956.000247";
    const archive = zipSync({ ".slack-thread-ts": new TextEncoder().encode(`${thread}\n`) });
    host.registry.publish("v1.0.0", archive);
    const hooks = { before: "true", after: "true", onFailure: "continue", timeoutMs: 60_000 } as const;
    const agent = host.agent({ hooks });
    await agent.tick(c);
    const threads = () => host.outbox.told.map(({ event, origin }) => [event.kind, origin.thread]);
    expect(threads()).toEqual([
      ["deploying", null],
      ["downloaded", null],
      ["hook", null],
      ["hook", thread],
      ["deployed", thread],
    ]);
    await host.clock.advance(1000);
    host.registry.publish("v1.1.0", archive);
    host.app.startFailure = () => died;
    await agent.tick(c);
    expect(threads().at(-1)).toEqual(["quarantined", thread]);
  });
});

describe("a release that fails", () => {
  test("by its own fault, with a good one running, is quarantined and not tried again", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    host.app.startFailure = () => died;
    expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { code: "start-failed" } });
    expect(host.current).toBe("v1.0.0");
    expect(host.state).toMatchObject({
      current: { tag: "v1.0.0" },
      quarantine: [{ tag: "v1.1.0", reason: died.message, digest: expect.stringMatching(/^sha256:/) }],
      attempt: null,
      failure: null,
    });
    expect(host.told.slice(-3)).toEqual(["deploying", "downloaded", "quarantined"]);
    expect(host.history.read().at(-1)).toMatchObject({
      tag: "v1.1.0",
      result: "failed",
      error: died.message,
    });
    expect(host.releases.list()).toHaveLength(1);
    const opened = host.registry.opened;
    for (let ticks = 0; ticks < 3; ticks++) {
      await host.clock.advance(3_600_000);
      expect(await agent.tick(c)).toEqual({ kind: "idle" });
    }
    expect(host.registry.opened).toBe(opened);
  });

  test("as it ends what serves, three times in a row, is quarantined, which is told once, over a restart of dewy", async () => {
    using host = new AgentHost();
    let agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    host.app.startFailure = () =>
      new DewyError("serving-ended", "the server that runs was killed by SIGKILL");
    const told = host.told.length;
    for (let tries = 1; tries <= 3; tries++) {
      expect(host.state.quarantine).toEqual([]);
      expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { code: "serving-ended" } });
      agent = host.agent();
      await agent.begin(c);
      await host.clock.advance(5 * 60_000);
    }
    const reason = "each of 3 tries ended what serves: the server that runs was killed by SIGKILL";
    expect(host.state).toMatchObject({ quarantine: [{ tag: "v1.1.0", reason }], failure: null });
    expect(host.told.slice(told)).toEqual(["deploying", "downloaded", "failed", "failed", "quarantined"]);
    expect(host.outbox.events.at(-1)).toMatchObject({
      reason,
      hint: expect.stringContaining("what both versions share"),
      servingTag: "v1.0.0",
    });
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    host.app.startFailure = () => null;
    await agent.carryOut({ kind: "retry" }, () => undefined, c);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("is still quarantined for the next agent", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    host.app.startFailure = () => died;
    await agent.tick(c);
    const next = host.agent();
    await next.begin(c);
    expect(await next.tick(c)).toEqual({ kind: "idle" });
  });

  test("and is published again with the same bytes is refused before it starts", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    host.app.startFailure = () => died;
    await agent.tick(c);
    let started = 0;
    host.app.startFailure = () => {
      started += 1;
      return null;
    };
    host.registry.publish("v1.1.0");
    expect(await agent.tick(c)).toMatchObject({
      kind: "failed",
      failure: { message: expect.stringContaining("same content that failed before") },
    });
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(started).toBe(0);
    expect(host.current).toBe("v1.0.0");
  });

  test("and is published again with other bytes is tried", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0", archiveOf("bad!!!"));
    host.app.startFailure = () => died;
    await agent.tick(c);
    host.app.startFailure = () => null;
    // Of the same length: only the content tells them apart.
    host.registry.publish("v1.1.0", archiveOf("fixed!"));
    await host.clock.advance(1000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect(host.current).toBe("fixed!");
  });

  test("does not keep a newer one from being deployed", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    host.app.startFailure = () => died;
    await agent.tick(c);
    host.app.startFailure = () => null;
    host.registry.publish("v1.2.0");
    await host.clock.advance(1000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.2.0" });
    expect(host.state.previous).toMatchObject({ tag: "v1.0.0" });
  });

  test("on a fresh host is tried again, later and later, and leaves no link", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0");
    let starts = 0;
    host.app.startFailure = () => {
      starts += 1;
      return died;
    };
    const agent = host.agent();
    await agent.begin(c);
    for (let elapsed = 0; elapsed < 200; elapsed += 10) {
      await agent.tick(c);
      await host.clock.advance(10_000);
    }
    // At 0, 10, 30, 70 and 150 s.
    expect(starts).toBe(5);
    expect(existsSync(join(host.root, "current"))).toBe(false);
    expect(host.state).toMatchObject({ quarantine: [], failure: { count: 5 } });
    host.app.startFailure = () => null;
    await host.clock.advance(300_000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
    expect(host.state.failure).toBeNull();
  });

  test("by a corrupt archive is quarantined, with nothing left behind", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0", archiveOf("v1.1.0").subarray(0, 60));
    expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { blame: "release" } });
    expect(host.state.quarantine).toHaveLength(1);
    expect(host.current).toBe("v1.0.0");
    expect(workInProgress(host)).toEqual([]);
  });

  test("by an outage of the registry is tried again after a while", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    host.registry.failures.open = new DewyError("unauthorized", "no access to the file");
    expect(await agent.tick(c)).toMatchObject({ kind: "failed" });
    expect(host.state).toMatchObject({ quarantine: [], failure: { tag: "v1.1.0", count: 1 } });
    host.registry.failures = {};
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    await host.clock.advance(10_000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("and can't be switched back leaves `current` at a whole release, and the next check puts it right", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    const { releases } = host;
    const restoreLink = releases.restoreLink.bind(releases);
    host.app.startFailure = () => died;
    releases.restoreLink = () => undefined;
    await agent.tick(c);
    expect(host.current).toBe("v1.1.0");
    releases.restoreLink = restoreLink;
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.current).toBe("v1.0.0");
    expect(host.log.at("warn")).toContain("Restored the recorded release");
  });
});

describe("dewy retry", () => {
  test("lifts quarantine and back-off at the next check, once", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    host.app.startFailure = () => died;
    await agent.tick(c);
    host.app.startFailure = () => null;
    writeFileSync(host.retryRequest, "");
    await host.clock.advance(1000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect(existsSync(host.retryRequest)).toBe(false);
    expect(host.log.at("info")).toContain("Retry requested: quarantine lifted");
  });

  test("is not forgotten when the state can't be written", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    writeFileSync(host.retryRequest, "");
    rmSync(host.statePath);
    mkdirSync(host.statePath);
    expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { code: "filesystem" } });
    expect(existsSync(host.retryRequest)).toBe(true);
  });
});

describe("hooks", () => {
  const hooks = { before: null, after: null, onFailure: "continue", timeoutMs: 60_000 } as const;
  const print =
    "echo $DEWY_TAG,$DEWY_PREVIOUS_TAG,$DEWY_ARTIFACT,$DEWY_COMMAND,$DEWY_RELEASE_DIR,$(cat current/VERSION)";

  test("get what the deploy is about; the after hook sees the new release in place", async () => {
    using host = new AgentHost();
    const both = { ...hooks, before: `${print} >> before`, after: `${print} >> after` };
    const agent = await running(host, "v1.0.0", { hooks: both });
    host.registry.publish("v1.1.0");
    await agent.tick(c);
    const dir = join(host.releases.path, host.state.current?.release ?? "");
    const lines = (name: string) => readFileSync(join(host.root, name), "utf8").split("\n");
    expect(lines("before")[1]).toBe(`v1.1.0,v1.0.0,${artifactName},server,,v1.0.0`);
    expect(lines("after")[1]).toBe(`v1.1.0,v1.0.0,${artifactName},server,${dir},v1.1.0`);
    expect(host.told.slice(-5)).toEqual(["deploying", "downloaded", "hook", "hook", "deployed"]);
  });

  test.each(["before", "after"] as const)(
    "%s the deploy that fail are told of, and it goes on",
    async (which) => {
      using host = new AgentHost();
      await running(host, "v1.0.0", { hooks: { ...hooks, [which]: "exit 3" } });
      expect(host.current).toBe("v1.0.0");
      expect(host.log.at("error")).toEqual([
        "Execute hook failed",
        which === "before" ? "Before deploy hook failure" : "After deploy hook failure",
      ]);
    },
  );

  test.each(["before", "after"] as const)(
    "%s the deploy that fail give it up with --hook-failure abort: tried again, not quarantined",
    async (which) => {
      using host = new AgentHost();
      const abort = { ...hooks, onFailure: "abort", [which]: "test ! -e broken" } as const;
      const agent = await running(host, "v1.0.0", { hooks: abort });
      writeFileSync(join(host.root, "broken"), "");
      host.registry.publish("v1.1.0");
      expect(await agent.tick(c)).toMatchObject({
        kind: "failed",
        failure: { code: "hook-failed", message: `${which} deploy hook: command failed with exit code 1` },
      });
      expect(host.current).toBe("v1.0.0");
      expect(host.releases.list()).toHaveLength(1);
      expect(host.state).toMatchObject({ quarantine: [], failure: { count: 1 } });
      rmSync(join(host.root, "broken"));
      await host.clock.advance(10_000);
      expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    },
  );
});

describe("at its start an agent", () => {
  test("of an empty directory has nothing to serve", async () => {
    using host = new AgentHost();
    await host.agent().begin(c);
    expect(host.app.resumed).toEqual([null]);
    expect(existsSync(host.statePath)).toBe(false);
  });

  test("serves the recorded release before the registry is asked, and goes on when it is back", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    host.registry.failures.latest = new DewyError("network-unreachable", "down");
    const next = host.agent();
    await next.begin(c);
    expect(host.app.resumed.at(-1)).toBe(host.state.current?.release ?? null);
    expect(await next.tick(c)).toMatchObject({ kind: "failed" });
    host.registry.failures = {};
    host.registry.publish("v1.1.0");
    expect(await next.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("after a kill between switch and commit goes back to what is recorded", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    const recorded = host.state.current?.release ?? "";
    const ahead = await host.releases.stage(
      async (into) => writeFileSync(join(into, "VERSION"), "v1.1.0"),
      c,
    );
    host.releases.switchTo(ahead);
    host.deps().state.update({ attempt: { id: "1", tag: "v1.1.0", startedAt: "2026-11-21T12:00:00Z" } });
    await host.agent().begin(c);
    expect(host.current).toBe("v1.0.0");
    expect(host.app.resumed.at(-1)).toBe(recorded);
    expect(host.state.attempt).toBeNull();
    expect(host.log.at("warn")).toEqual(["The last deploy was interrupted", "Restored the recorded release"]);
  });

  test("after a kill during an extraction cleans up", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    mkdirSync(join(host.releases.path, ".partial-1"));
    await Bun.write(join(host.root, ".dewy/tmp/app.zip"), "half");
    symlinkSync("releases/x", join(host.root, "current.dewy-new"));
    await host.agent().begin(c);
    expect(workInProgress(host)).toEqual([]);
    expect(existsSync(join(host.root, "current.dewy-new"))).toBe(false);
    expect(host.current).toBe("v1.0.0");
  });

  test("whose link is gone or dangling puts it right", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    rmSync(join(host.root, "current"));
    await host.agent().begin(c);
    expect(host.current).toBe("v1.0.0");
    rmSync(join(host.root, "current"));
    symlinkSync("releases/20200101T000000Z", join(host.root, "current"));
    await host.agent().begin(c);
    expect(host.current).toBe("v1.0.0");
  });

  test("whose recorded release is gone serves the one before, and deploys it again", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    host.registry.publish("v1.1.0");
    await agent.tick(c);
    await host.clock.advance(1000);
    host.releases.remove(host.state.current?.release ?? "");
    const next = host.agent();
    await next.begin(c);
    expect(host.current).toBe("v1.0.0");
    expect(host.app.resumed.at(-1)).toBe(host.state.previous?.release ?? null);
    expect(await next.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    expect(host.current).toBe("v1.1.0");
  });

  test("whose state is not readable goes on from what is on disk, with no deploy", async () => {
    using host = new AgentHost();
    const agent = await running(host, "v1.0.0");
    await agent.tick(c);
    // The host's clock is not the one the releases are named by.
    utimesSync(join(host.cacheDir, `v1.0.0--${artifactName}`), host.clock.now(), new Date(0));
    writeFileSync(host.statePath, "torn");
    const next = host.agent();
    await next.begin(c);
    expect(host.state.current).toMatchObject({ tag: "v1.0.0", artifact: artifactName });
    expect(await next.tick(c)).toEqual({ kind: "idle" });
  });

  test("that can write neither the state nor the cache key still serves", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    const deps = host.deps();
    deps.state.update({ attempt: { id: "1", tag: "v1.1.0", startedAt: "2026-11-21T12:00:00Z" } });
    rmSync(host.statePath);
    mkdirSync(host.statePath);
    rmSync(join(host.cacheDir, "current"));
    mkdirSync(join(host.cacheDir, "current"));
    await host.agentOf(deps).begin(c);
    expect(host.app.resumed.at(-1)).toBe(deps.state.state.current?.release ?? null);
  });

  test("whose app can't be started goes on: a newer release may help", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    host.app.resumeFailure = died;
    const next = host.agent();
    await next.begin(c);
    expect(host.log.at("error")).toEqual(["Dewy run failure"]);
    host.registry.publish("v1.1.0");
    expect(await next.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
  });

  test("that is told to stop while the app starts, stops", async () => {
    using host = new AgentHost();
    await running(host, "v1.0.0");
    const stop = new AbortController();
    stop.abort(new Error("told to stop"));
    host.app.resumeFailure = died;
    await expect(host.agent().begin(stop)).rejects.toThrow("told to stop");
  });
});

describe("the loop", () => {
  test("checks at every interval until it is told to stop", async () => {
    using host = new AgentHost();
    const stop = new AbortController();
    const agent = host.agent();
    const looping = agent.run(stop);
    await host.clock.whenSleeping(1);
    host.registry.publish("v1.0.0");
    await host.clock.advance(9_999);
    expect(host.current).toBeNull();
    await host.clock.advance(1);
    await host.clock.whenSleeping(1);
    await until("it is deployed", () => host.state.current?.tag === "v1.0.0");
    stop.abort(new Error("told to stop"));
    await expect(looping).rejects.toThrow("told to stop");
    expect(host.clock.sleeping).toBe(0);
  });

  test("checks fall where the agent's phase puts them", async () => {
    using host = new AgentHost();
    const stop = new AbortController();
    const looping = host.agent({ phase: 0.25 }).run(stop);
    await host.clock.whenSleeping(1);
    host.registry.publish("v1.0.0");
    const first = pauseUntilNextCheck(host.clock.now().getTime(), 10_000, 0.25);
    await host.clock.advance(first - 1);
    expect(host.current).toBeNull();
    await host.clock.advance(1);
    await until("it is deployed", () => host.state.current?.tag === "v1.0.0");
    stop.abort(new Error("told to stop"));
    await expect(looping).rejects.toThrow("told to stop");
  });

  test("goes on after a failure, no sooner than the registry wants", async () => {
    using host = new AgentHost();
    const stop = new AbortController();
    host.registry.failures.latest = new DewyError("network-unreachable", "down");
    host.registry.minIntervalMs = () => 60_000;
    const looping = host.agent().run(stop);
    await host.clock.whenSleeping(1);
    host.registry.failures = {};
    host.registry.publish("v1.0.0");
    await host.clock.advance(59_000);
    expect(host.current).toBeNull();
    await host.clock.advance(1000);
    await until("it is deployed", () => host.state.current?.tag === "v1.0.0");
    stop.abort(new Error("told to stop"));
    await expect(looping).rejects.toThrow("told to stop");
  });
});

describe("told to stop in a deploy", () => {
  test.each(deploySteps)(
    "at %s: it ends with the reason or is done, and the next agent ends at the newest",
    async (step) => {
      using host = new AgentHost();
      await running(host, "v1.0.0");
      host.registry.publish("v1.1.0");
      const stop = new AbortController();
      const onStep = (passed: DeployStep) => {
        if (passed === step) stop.abort(new Error("told to stop"));
      };
      const hooks = { before: "true", after: "true", onFailure: "continue", timeoutMs: 60_000 } as const;
      const stopped = host.agent({ onStep, hooks });
      await stopped.begin(c);
      const [outcome] = await Promise.allSettled([stopped.tick(stop)]);
      if (outcome.status === "rejected") expect(outcome.reason).toBe(stop.signal.reason);
      else expect(outcome.value).toMatchObject({ kind: "deployed" });
      const committed = host.state.current?.tag === "v1.1.0";
      expect(host.current).toBe(committed ? "v1.1.0" : "v1.0.0");
      expect(host.state.quarantine).toEqual([]);
      if (committed) expect(host.history.read().at(-1)).toMatchObject({ tag: "v1.1.0" });
      expect(host.told).not.toContain("failed");
      await host.clock.advance(1000);
      const next = host.agent();
      await next.begin(c);
      expect(await next.tick(c)).toMatchObject(committed ? { kind: "idle" } : { kind: "deployed" });
      expect(host.current).toBe("v1.1.0");
      expect(workInProgress(host)).toEqual([]);
      expect(host.releases.list()).toHaveLength(2);
    },
  );
});

describe("a step that fails in a deploy", () => {
  test.each(deploySteps.filter((step) => step !== "committed"))(
    "at %s leaves the old release, and the next try succeeds",
    async (step) => {
      using host = new AgentHost();
      let failing = false;
      const onStep = (passed: DeployStep) => {
        if (failing && passed === step) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
      };
      const agent = await running(host, "v1.0.0", { onStep });
      failing = true;
      host.registry.publish("v1.1.0");
      expect(await agent.tick(c)).toMatchObject({ kind: "failed", failure: { code: "disk-full" } });
      expect(host.current).toBe("v1.0.0");
      expect(host.state).toMatchObject({ current: { tag: "v1.0.0" }, attempt: null, quarantine: [] });
      expect(host.releases.list()).toHaveLength(1);
      expect(workInProgress(host)).toEqual([]);
      failing = false;
      await host.clock.advance(10_000);
      expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.1.0" });
    },
  );
});
