import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ContainerHost } from "../../support/container-host.ts";
import type { Engine } from "../../support/engine-process.ts";
import { sharedDocker, sharedPodman } from "../../support/engines.ts";
import { EchoTalk, halfClosed, slowRequest, slowUpload } from "../../support/in-flight.ts";
import { startLoad } from "../../support/load.ts";
import { type OciRegistry, startOciRegistry } from "../../support/oci-registry.ts";

const updates = process.env["DEWY_FULL"] === "1" ? 20 : 5;
let registry: OciRegistry;

beforeAll(async () => {
  registry = await startOciRegistry();
});
afterAll(() => registry[Symbol.asyncDispose]());

describe.each<[string, () => Promise<Engine>]>([
  ["docker", sharedDocker],
  ["podman", sharedPodman],
])("on %s", (_, start) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await start();
  }, 180_000);

  test(`${updates} updates of 3 replicas on 2 ports lose no request`, async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0");
    const agent = host.agent(["--replicas", "3"]);
    await host.serves("v1.0.0");
    await host.serves("v1.0.0", host.ports[1]);
    await host.settled("v1.0.0", 3);
    const loads = host.ports.map((port) => startLoad(port, { kept: 3, fresh: 2 }));
    for (let version = 1; version <= updates; version++) {
      await host.publish(`v1.0.${version}`);
      await agent.logged("Deployment completed successfully", { tag: `v1.0.${version}` });
      expect(await host.containers()).toHaveLength(3);
      await host.settled(`v1.0.${version}`, 3);
    }
    const results = await Promise.all(loads.map((load) => load.stop()));
    for (const { failures, answers } of results) {
      expect(failures).toEqual([]);
      expect([...answers.keys()].sort()).toHaveLength(updates + 1);
    }
    expect(agent.errors()).toEqual([]);
    expect(await agent.stop()).toBe(0);
    expect(await host.containers()).toEqual([]);
  }, 600_000);

  test("what is in flight through a deploy ends well within the drain time", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0");
    const agent = host.agent(["--drain-time", "2m"]);
    await host.serves("v1.0.0");
    const slow = await slowRequest(host.port, 4000);
    const upload = await slowUpload(host.port, 1_000_000, 400);
    const echo = await EchoTalk.open(host.port);
    expect(await echo.say("before")).toBe("v1.0.0");
    await host.publish("v2.0.0");
    await host.serves("v2.0.0");
    const half = await halfClosed(host.port, 100_000);
    expect(await echo.say("while it drains")).toBe("v1.0.0");
    expect(await slow()).toEqual({ received: expect.stringMatching(/200 OK[\s\S]*v1\.0\.0 /), ended: true });
    expect(await upload()).toEqual({
      received: expect.stringMatching(/200 OK[\s\S]*v1\.0\.0 1000000 /),
      ended: true,
    });
    expect(await half()).toEqual({
      received: expect.stringMatching(/(v2\.0\.0 100000\n){10}$/),
      ended: true,
    });
    expect(await echo.bye()).toMatchObject({ ended: true });
    await agent.logged("Deployment completed successfully", { tag: "v2.0.0" });
    await host.settled("v2.0.0", 1);
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("what goes on past the drain time is cut with its container, and counted", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0", "stubborn");
    const agent = host.agent(["--drain-time", "8s", "--stop-timeout", "1s"]);
    await host.serves("v1.0.0");
    const echo = await EchoTalk.open(host.port);
    const slow = await slowRequest(host.port, 60_000);
    await host.publish("v2.0.0");
    await host.serves("v2.0.0");
    expect(await echo.say("still here")).toBe("v1.0.0");
    await agent.logged("Deployment completed successfully", { tag: "v2.0.0" });
    expect((await slow()).received).toBe("");
    await echo.ended();
    await agent.logged("Drain time over", { connections: 2 });
    await host.settled("v2.0.0", 1);
  }, 120_000);
});
