import { describe, expect, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DewyError } from "../../src/errors.ts";
import { AgentHost } from "../support/agent-host.ts";

const c = { signal: new AbortController().signal };
const died = new DewyError("start-failed", "the new server exited with code 1 right after its start");
const hooks = {
  before: "test ! -e broken",
  after: "true",
  onFailure: "continue",
  timeoutMs: 60_000,
} as const;

/** A host whose first release fails with its before hook, and its agent. */
function failing() {
  const host = new AgentHost();
  host.registry.publish("v1.0.0");
  writeFileSync(join(host.root, "broken"), "");
  host.app.startFailure = () => (existsSync(join(host.root, "broken")) ? died : null);
  const agent = host.agent({ hooks });
  return { host, agent, tries: (count: number) => triesOf(host, agent, count) };
}

async function triesOf(host: AgentHost, agent: ReturnType<AgentHost["agent"]>, count: number) {
  for (let tries = 0; tries < count; tries++) {
    await agent.tick(c);
    await host.clock.advance(5 * 60_000);
  }
}

describe("a registry that fails behind the answers that a fleet shares", () => {
  const shared = (isStale: boolean, host: AgentHost) => {
    const asOf = host.clock.now();
    const failure = isStale ? { failure: "no connection to registry.example" } : {};
    host.registry.shared = { asOf, isStale, windowMs: 30_000, ...failure };
  };

  test("is told as any other, once, and its end; what they say is deployed all the same", async () => {
    using host = new AgentHost();
    host.registry.publish("v1.0.0");
    const agent = host.agent();
    shared(true, host);
    await host.clock.advance(60_000);
    expect(await agent.tick(c)).toEqual({ kind: "deployed", tag: "v1.0.0" });
    await triesOf(host, agent, 3);
    expect(host.told).toEqual(["failed", "deploying", "downloaded", "deployed"]);
    expect(host.outbox.events[0]).toMatchObject({
      tag: null,
      message: "the registry fails: no connection to registry.example; its answer of 1m0s ago is used",
    });
    expect(host.log.at("error")).toEqual([]);
    shared(false, host);
    await triesOf(host, agent, 2);
    expect(host.told.slice(4)).toEqual(["recovered"]);
    expect(host.outbox.events.at(-1)).toMatchObject({ trouble: "check", errors: 4 });
  });
});

describe("the errors of a release", () => {
  /** On a host where another one runs; the failure is not its fault. */
  async function failingUpdate() {
    const host = new AgentHost();
    host.registry.publish("v1.0.0");
    const agent = host.agent();
    await agent.tick(c);
    host.registry.publish("v1.1.0");
    host.registry.failures.open = new DewyError("unauthorized", "no access to the file");
    await triesOf(host, agent, 2);
    expect(host.told.slice(3)).toEqual(["deploying", "failed", "failed"]);
    return { host, agent };
  }

  test("that nobody wants any more are over, and nothing has become well", async () => {
    const { host, agent } = await failingUpdate();
    using _ = host;
    host.registry.unpublish("v1.1.0");
    await triesOf(host, agent, 2);
    expect(host.told).toHaveLength(6);
    // The next trouble is a new one.
    host.registry.publish("v1.2.0");
    await triesOf(host, agent, 1);
    expect(host.outbox.events.at(-1)).toMatchObject({ kind: "failed", run: { count: 1 } });
  });

  test("go on where there is none for a moment, and while it is held", async () => {
    const { host, agent } = await failingUpdate();
    using _ = host;
    await agent.begin(c);
    host.registry.unpublish("v1.1.0");
    host.registry.unpublish("v1.0.0");
    await triesOf(host, agent, 1);
    host.registry.publish("v1.0.0");
    host.registry.publish("v1.1.0");
    await agent.carryOut({ kind: "hold", until: null, reason: null }, () => undefined, c);
    await triesOf(host, agent, 1);
    expect(host.told).toHaveLength(6);
    await agent.carryOut({ kind: "resume" }, () => undefined, c);
    host.registry.failures = {};
    await triesOf(host, agent, 1);
    expect(host.told.slice(-2)).toEqual(["deployed", "recovered"]);
    expect(host.outbox.events.at(-1)).toMatchObject({ trouble: "deploy", errors: 2 });
  });
});

describe("a release that fails again and again", () => {
  test("is told to be deployed once, and of its hooks no more is told than of its errors", async () => {
    const { host, tries } = failing();
    using _ = host;
    await tries(3);
    const retry = ["hook", "hook", "failed"];
    expect(host.told).toEqual(["deploying", "downloaded", ...retry, ...retry, ...retry]);
    await tries(4);
    expect(host.told).toHaveLength(11);
    // The log has them all.
    expect(host.log.at("error").filter((record) => record === "Execute hook failed")).toHaveLength(7);
  });

  test("and works at last: its hooks' results are told as ever", async () => {
    const { host, tries } = failing();
    using _ = host;
    await tries(5);
    rmSync(join(host.root, "broken"));
    await tries(1);
    expect(host.told.slice(11)).toEqual(["hook", "hook", "deployed", "recovered"]);
  });

  test("holds back nothing of another release", async () => {
    const { host, tries } = failing();
    using _ = host;
    await tries(5);
    host.registry.publish("v1.1.0");
    await tries(1);
    expect(host.told.slice(11)).toEqual(["deploying", "downloaded", "hook", "hook"]);
  });

  test("and is ordered by an operator is told of as ever", async () => {
    const { host, agent, tries } = failing();
    using _ = host;
    await agent.begin(c);
    await tries(5);
    const ordered = agent.carryOut({ kind: "deploy", tag: "v1.0.0" }, () => undefined, c);
    await expect(ordered).rejects.toThrow("exited with code 1");
    expect(host.told.slice(11)).toEqual(["deploying", "hook", "hook"]);
  });
});
