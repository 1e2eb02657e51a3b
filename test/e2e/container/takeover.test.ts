import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ContainerHost } from "../../support/container-host.ts";
import { runDewy } from "../../support/dewy.ts";
import type { Engine } from "../../support/engine-process.ts";
import { sharedDocker, sharedPodman } from "../../support/engines.ts";
import { startLoad } from "../../support/load.ts";
import { type OciRegistry, startOciRegistry } from "../../support/oci-registry.ts";
import { until } from "../../support/until.ts";

let registry: OciRegistry;

beforeAll(async () => {
  registry = await startOciRegistry();
});
afterAll(() => registry[Symbol.asyncDispose]());

const idsOf = async (host: ContainerHost) => (await host.containers()).map(({ Id }) => Id).sort();

describe.each<[string, () => Promise<Engine>]>([
  ["docker", sharedDocker],
  ["podman", sharedPodman],
])("on %s", (_, start) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await start();
  }, 180_000);

  test("after kill -9 the next agent serves with the same containers, the registry being down", async () => {
    await using own = await startOciRegistry();
    await using host = new ContainerHost(engine, own);
    await host.publish("v1.0.0");
    const first = host.agent(["--replicas", "3"]);
    await host.serves("v1.0.0");
    await host.settled("v1.0.0", 3);
    await first.logged("Deployment completed successfully");
    const ids = await idsOf(host);
    await first.stop("SIGKILL");
    await own.stop();
    const second = host.agent(["--replicas", "3"]);
    await host.serves("v1.0.0");
    const seen = new Set<string>();
    await until("all replicas serve", async () => {
      seen.add((await host.ask()).split(" ")[1] ?? "");
      return seen.size === 3;
    });
    expect(await idsOf(host)).toEqual(ids);
    await own.restart();
    await host.publish("v1.1.0");
    await second.logged("Deployment completed successfully", { tag: "v1.1.0" });
    await host.settled("v1.1.0", 3);
  }, 120_000);

  test("an agent killed in the middle of an update leaves the next one to settle it", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0");
    const first = host.agent(["--replicas", "2"]);
    await host.serves("v1.0.0");
    await host.settled("v1.0.0", 2);
    await host.publish("v1.1.0");
    await first.logged("Container added to load balancer", { backend_count: 3 });
    await first.stop("SIGKILL");
    const second = host.agent(["--replicas", "2"]);
    await second.logged("Deployment completed successfully", { tag: "v1.1.0" });
    await host.settled("v1.1.0", 2);
    expect(host.state().quarantine).toEqual([]);
  }, 120_000);

  test("a replica that is killed under load takes at most its own connections with it, and is replaced", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0");
    const agent = host.agent(["--replicas", "3"]);
    await host.serves("v1.0.0");
    const before = (await host.settled("v1.0.0", 3)).map(({ Id }) => Id);
    await agent.logged("Deployment completed successfully");
    const load = startLoad(host.port, { kept: 6, fresh: 2 });
    await until("all carry load", () => load.seen().requests > 100);
    const [victim = ""] = before;
    await host.api("POST", `/containers/${victim}/kill?signal=KILL`);
    await until("it is replaced", async () => {
      const now = await host.containers();
      const running = now.filter(({ State }) => State === "running");
      return running.length === 3 && now.length === 3 && !now.some(({ Id }) => Id === victim);
    });
    const { requests } = load.seen();
    await until("the new one carries load, too", () => load.seen().requests > requests + 100);
    const { failures } = await load.stop();
    // 2 of the kept ones and those of the fresh that were on it just then.
    expect(failures.length).toBeLessThanOrEqual(4);
    const after = (await host.containers()).map(({ Id }) => Id);
    expect(after.filter((id) => before.includes(id))).toHaveLength(2);
  }, 120_000);

  test("SIGTERM removes this app's containers and no other's; with --leave-running none", async () => {
    await using host = new ContainerHost(engine, registry);
    await using other = new ContainerHost(engine, registry);
    await Promise.all([host.publish("v1.0.0"), other.publish("v1.0.0")]);
    const agent = host.agent(["--leave-running"]);
    const neighbour = other.agent();
    await Promise.all([host.serves("v1.0.0"), other.serves("v1.0.0")]);
    await agent.logged("Deployment completed successfully");
    await neighbour.logged("Deployment completed successfully");
    const ids = await idsOf(host);
    expect(await agent.stop()).toBe(0);
    expect(await idsOf(host)).toEqual(ids);
    const again = host.agent();
    await host.serves("v1.0.0");
    expect(await idsOf(host)).toEqual(ids);
    expect(await again.stop()).toBe(0);
    await again.logged("Shutting down gracefully");
    await again.logged("Cleanup completed", { containers_cleaned: 1 });
    expect(again.errors()).toEqual([]);
    expect(await host.containers()).toEqual([]);
    expect(await other.ask()).toStartWith("v1.0.0 ");
    expect(await other.containers()).toHaveLength(1);
  }, 120_000);

  test("a second SIGTERM ends the patience with an app that does not stop", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0", "stubborn");
    const agent = host.agent(["--stop-timeout", "10m"]);
    await host.serves("v1.0.0");
    process.kill(agent.pid, "SIGTERM");
    await agent.logged("Stopping managed container");
    expect(await agent.stop("SIGTERM")).toBe(0);
    expect(await host.containers()).toEqual([]);
  }, 180_000);

  test("other options for the same image are rolled out at the next start", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0");
    const first = host.agent(["--leave-running"], ["-e", "COLOUR=red"]);
    await host.serves("v1.0.0");
    await first.logged("Deployment completed successfully");
    expect(await host.ask("/env?name=COLOUR")).toBe("red");
    expect(await first.stop()).toBe(0);
    host.agent([], ["-e", "COLOUR=green"]);
    await until("the new option is there", async () => (await host.ask("/env?name=COLOUR")) === "green");
    await host.settled("v1.0.0", 1);
  }, 120_000);

  test("an image that has gone with its containers while no agent ran is pulled again", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0", "good", { Labels: { only: host.name } });
    const first = host.agent();
    await host.serves("v1.0.0");
    await first.logged("Deployment completed successfully");
    const [{ Id = "", ImageID = "" } = {}] = await host.containers();
    await first.stop("SIGKILL");
    await host.api("DELETE", `/containers/${Id}?force=true`);
    expect((await host.api("DELETE", `/images/${ImageID}?force=true`)).status).toBe(200);
    const second = host.agent();
    await second.logged("Recorded version not running yet");
    await second.logged("Image pull complete");
    await host.serves("v1.0.0");
    await host.settled("v1.0.0", 1);
    expect(second.errors()).toEqual([]);
  }, 180_000);

  test("SIGHUP replaces the containers without losing a request", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0");
    const agent = host.agent(["--replicas", "2"]);
    await host.serves("v1.0.0");
    await agent.logged("Deployment completed successfully");
    const before = await idsOf(host);
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    process.kill(agent.pid, "SIGHUP");
    await until("both are new", async () => {
      const now = await idsOf(host);
      return now.length === 2 && !now.some((id) => before.includes(id));
    });
    expect((await load.stop()).failures).toEqual([]);
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("dewy container list shows them", async () => {
    await using host = new ContainerHost(engine, registry);
    await host.publish("v1.0.0");
    const agent = host.agent(["--replicas", "2"]);
    await host.serves("v1.0.0");
    await agent.logged("Deployment completed successfully");
    const { code, stdout } = await runDewy(["container", "list", "--admin-port", `${host.adminPort}`]);
    expect(code).toBe(0);
    const [head, ...lines] = stdout.trimEnd().split("\n");
    expect(head).toMatch(/^UPSTREAM +DEPLOY TIME +NAME$/);
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).toMatch(/^127\.0\.0\.1:\d+ +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +t[\d-]+-\d+-[01]$/);
    }
    const listed = await until("no connection is left of those that asked", async () => {
      const json = await runDewy(["container", "list", "--json", "--admin-port", `${host.adminPort}`]);
      const all: { connections: number }[] = JSON.parse(json.stdout);
      return all.every(({ connections }) => connections === 0) && all;
    });
    expect(listed).toMatchObject([
      { replica: 0, version: "v1.0.0", state: "serving", connections: 0 },
      { replica: 1, version: "v1.0.0", state: "serving", connections: 0 },
    ]);
    const status = await (await fetch(`http://127.0.0.1:${host.adminPort}/api/status`)).json();
    expect(status).toMatchObject({
      name: host.name,
      command: "container",
      current_version: "v1.0.0",
      is_running: true,
    });
  }, 180_000);
});
