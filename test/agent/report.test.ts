import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { StateFile } from "../../src/agent/state.ts";
import { DewyError } from "../../src/errors.ts";
import { AgentHost } from "../support/agent-host.ts";

const c = { signal: new AbortController().signal };
const outage = new DewyError("http-status", "the server answered 503");
const refusal = new DewyError("unauthorized", "the token may only read");

const reported = (host: AgentHost) => host.registry.reports.map(({ tag, result }) => `${tag} ${result}`);
const recorded = (host: AgentHost) => host.history.read().map(({ tag, result }) => `${tag} ${result}`);

describe("a deploy that succeeded", () => {
  test("is in the history and reported, once", async () => {
    using host = new AgentHost();
    const agent = host.agent();
    host.registry.publish("v1.0.0");
    for (let ticks = 0; ticks < 3; ticks++) await agent.tick(c);
    expect(recorded(host)).toEqual(["v1.0.0 deployed"]);
    expect(reported(host)).toEqual(["v1.0.0 deployed"]);
    expect(host.state.unreported).toBeNull();
    expect(host.history.read()[0]).toMatchObject({ host: "web1", command: "server", fromTag: null });
    expect(host.registry.reports).toEqual(host.history.read());
  });

  test("is kept while the registry can't take the report, and reported later: one warning", async () => {
    using host = new AgentHost();
    const agent = host.agent();
    host.registry.publish("v1.0.0");
    host.registry.failures.report = outage;
    for (let ticks = 0; ticks < 4; ticks++) await agent.tick(c);
    expect(host.state.unreported).toMatchObject({ tag: "v1.0.0" });
    expect(recorded(host)).toEqual(["v1.0.0 deployed"]);
    expect(host.log.at("warn")).toEqual(["Report failed"]);
    host.registry.failures = {};
    await agent.tick(c);
    expect(reported(host)).toEqual(["v1.0.0 deployed"]);
    expect(recorded(host)).toEqual(["v1.0.0 deployed"]);
    expect(host.state.unreported).toBeNull();
  });

  test("is not reported again and again to a registry that refuses it: one warning, no error", async () => {
    using host = new AgentHost();
    const agent = host.agent();
    host.registry.publish("v1.0.0");
    host.registry.failures.report = refusal;
    for (let ticks = 0; ticks < 3; ticks++) await agent.tick(c);
    expect(host.state.unreported).toBeNull();
    expect(host.log.at("warn")).toEqual(["Report failed"]);
    expect(host.log.at("error")).toEqual([]);
  });

  test("is not reported with --no-report, but is in the history", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0");
    await host.agent({ report: false }).tick(c);
    expect(reported(host)).toEqual([]);
    expect(recorded(host)).toEqual(["v1.0.0 deployed"]);
  });

  test("and lost its agent right after is recorded by the next one, even when that finds a newer release at once", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0");
    host.registry.failures.report = outage;
    await host.agent().tick(c);
    // As a kill between the commit and the history leaves it.
    rmSync(host.history.path);
    host.registry.failures = {};
    await host.clock.advance(1000);
    host.registry.publish("v1.1.0");
    const next = host.agent();
    await next.begin(c);
    await next.tick(c);
    expect(recorded(host)).toEqual(["v1.0.0 deployed", "v1.1.0 deployed"]);
    expect(reported(host)).toEqual(["v1.0.0 deployed", "v1.1.0 deployed"]);
  });

  test("has succeeded although the history can't be written: a warning, and written when it can be", async () => {
    using host = new AgentHost();
    const agent = host.agent();
    host.registry.publish("v1.0.0");
    mkdirSync(host.history.path);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
    expect(await agent.tick(c)).toEqual({ kind: "idle" });
    expect(host.log.at("warn")).toEqual(["Report failed"]);
    rmSync(host.history.path, { recursive: true });
    await agent.tick(c);
    expect(recorded(host)).toEqual(["v1.0.0 deployed"]);
    expect(reported(host)).toEqual(["v1.0.0 deployed"]);
  });

  test("stays to be reported when the agent stops during the report", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0");
    const stop = new AbortController();
    host.registry.report = async () => {
      stop.abort(new Error("told to stop"));
      throw new DOMException("aborted", "AbortError");
    };
    await expect(host.agent().tick(stop)).rejects.toThrow("told to stop");
    expect(host.state).toMatchObject({ current: { tag: "v1.0.0" }, unreported: { tag: "v1.0.0" } });
  });
});

test("a deploy that failed is in the history, and not reported", async () => {
  using host = new AgentHost();
  host.registry.publish("v1.0.0");
  host.app.startFailure = () => new DewyError("start-failed", "it died");
  await host.agent().tick(c);
  expect(host.history.read()).toMatchObject([{ tag: "v1.0.0", result: "failed", error: "it died" }]);
  expect(reported(host)).toEqual([]);
  expect(StateFile.open(host.statePath, host.log).file.state.unreported).toBeNull();
});
