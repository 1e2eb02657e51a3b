import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AppMode } from "../../support/container-app.ts";
import { ContainerHost } from "../../support/container-host.ts";
import type { RunningDewy } from "../../support/dewy.ts";
import type { Engine } from "../../support/engine-process.ts";
import { sharedDocker, sharedPodman, startDocker } from "../../support/engines.ts";
import { startLoad } from "../../support/load.ts";
import { imageLayer, pushImage } from "../../support/oci-image.ts";
import { type OciRegistry, startOciRegistry } from "../../support/oci-registry.ts";
import { tempDir } from "../../support/temp-dir.ts";
import { mountTmpfs } from "../../support/tmpfs.ts";
import { until } from "../../support/until.ts";

let registry: OciRegistry;

beforeAll(async () => {
  registry = await startOciRegistry();
});
afterAll(() => registry[Symbol.asyncDispose]());

/** An agent that serves v1.0.0 and goes on to whatever happens; `nothingLost` ends the load on it. */
async function serving(host: ContainerHost, flags: readonly string[] = []) {
  await host.publish("v1.0.0");
  const agent = host.agent(flags);
  await host.serves("v1.0.0");
  await agent.logged("Deployment completed successfully", { tag: "v1.0.0" });
  const load = startLoad(host.port, { kept: 1, fresh: 1 });
  return {
    agent,
    async nothingLost() {
      const { failures, answers } = await load.stop();
      expect(failures).toEqual([]);
      expect([...answers.keys()]).toEqual(["v1.0.0"]);
    },
  };
}

const failed = (agent: RunningDewy) => agent.logged("Dewy run failure");
/** The kinds of record that a failed deploy leaves at ERROR. */
const errorsOf = (agent: RunningDewy) => [...new Set(agent.errors().map(({ msg }) => msg))];

describe.each<[string, () => Promise<Engine>]>([
  ["docker", sharedDocker],
  ["podman", sharedPodman],
])("on %s the old version serves on when the new image", (_, start) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await start();
  }, 180_000);

  test.each<[string, AppMode, readonly string[], RegExp]>([
    ["never gets healthy", "sick", [], /\/up.*503/],
    ["exits at once", "exit", [], /exit(ed with)? code 3/i],
    ["starts but does not listen", "deaf", ["--health-path", ""], /./],
    ["does not answer its health path", "deaf", [], /./],
  ])(
    "%s",
    async (_what, mode, flags, reason) => {
      await using host = new ContainerHost(engine, registry);
      const { agent, nothingLost } = await serving(host, [...flags, "--health-timeout", "6s"]);
      const digest = await host.publish("v1.1.0", mode);
      await agent.logged("Quarantined", { tag: "v1.1.0", digest });
      expect(String((await failed(agent))["error"])).toMatch(reason);
      await agent.logged("Rolling back containers");
      await agent.logged("Rolling back deployment");
      await agent.logged("Removing failed container");
      await agent.logged("Deploy skipped", { reason: "quarantined" });
      await nothingLost();
      await host.settled("v1.0.0", 1);
      expect(agent.records.filter(({ msg }) => msg === "Dewy run failure")).toHaveLength(1);
      expect(host.history().map(({ tag, result }) => `${tag} ${result}`)).toEqual([
        "v1.0.0 deployed",
        "v1.1.0 failed",
      ]);
      // Another image under the same tag is another chance.
      await host.publish("v1.1.0");
      await host.serves("v1.1.0");
    },
    180_000,
  );

  test("can't be pulled for a missing layer, and takes it when it is there", async () => {
    await using host = new ContainerHost(engine, registry);
    const { agent, nothingLost } = await serving(host);
    const layer = imageLayer([{ path: "only-here", content: `${host.name}` }]);
    await pushImage(registry, host.repository, "v1.1.0", { layers: [layer], config: { Cmd: ["/app"] } });
    registry.forgetBlob(layer.digest);
    await agent.logged("Image pull failed");
    await failed(agent);
    expect(errorsOf(agent)).toEqual(["Image pull failed", "Dewy run failure"]);
    expect(host.state().quarantine).toEqual([]);
    expect(host.state().failure).toMatchObject({ tag: "v1.1.0" });
    await nothingLost();
    await host.settled("v1.0.0", 1);
    await host.publish("v1.1.0");
    await host.serves("v1.1.0");
  }, 180_000);

  test("may not be pulled with the credentials there are", async () => {
    const login = { username: "deploy", password: "planted-pass" };
    await using guarded = await startOciRegistry({ htpasswd: login });
    await using host = new ContainerHost(engine, guarded);
    const config = (password: string) =>
      writeFileSync(
        join(host.scratch, "config.json"),
        JSON.stringify({
          auths: { [guarded.host]: { auth: Buffer.from(`deploy:${password}`).toString("base64") } },
        }),
      );
    config(login.password);
    const { agent, nothingLost } = await serving(host);
    config("wr0ng-pass");
    await host.publish("v1.1.0");
    const failure = await failed(agent);
    expect(`${failure["error"]} ${failure["hint"]}`).toMatch(/401|unauthorized|log ?in|credential/i);
    await nothingLost();
    expect(agent.output).not.toContain("planted-pass");
    expect(agent.output).not.toContain("wr0ng-pass");
    expect(host.state().quarantine).toEqual([]);
    config(login.password);
    await host.serves("v1.1.0");
  }, 120_000);
});

describe("the old version serves on", () => {
  test("while the disk of the engine is full, and the new one comes when there is room", async () => {
    using dir = tempDir();
    await using _disk = mountTmpfs(dir.path, "size=96m");
    await using engine = await startDocker({ dataRoot: join(dir.path, "data") });
    await using host = new ContainerHost(engine, registry);
    const { agent, nothingLost } = await serving(host);
    writeFileSync(join(dir.path, "ballast"), Buffer.alloc(78 * 2 ** 20));
    await pushImage(registry, host.repository, "v1.1.0", {
      layers: [imageLayer([{ path: "big", content: Buffer.alloc(30 * 2 ** 20, host.name) }])],
      config: { Cmd: ["/app"] },
    });
    const failure = await failed(agent);
    expect(String(failure["error"])).toMatch(/no space|disk/i);
    expect(host.state().quarantine).toEqual([]);
    await nothingLost();
    writeFileSync(join(dir.path, "ballast"), "");
    await host.publish("v1.2.0");
    await host.serves("v1.2.0");
  }, 120_000);

  test("while Docker is away, its containers living on (live-restore), and what is new comes after it", async () => {
    await using engine = await startDocker({ flags: ["--live-restore"] });
    await using host = new ContainerHost(engine, registry);
    const { agent } = await serving(host);
    const [before] = await host.containers();
    await engine.stop();
    await host.publish("v1.1.0");
    const load = startLoad(host.port, { kept: 1, fresh: 1 });
    await failed(agent);
    await until("there is load", () => load.seen().requests > 10);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    await engine.restart();
    await host.serves("v1.1.0");
    await host.settled("v1.1.0", 1);
    expect(before?.Labels["dewy.version"]).toBe("v1.0.0");
    expect(host.state().quarantine).toEqual([]);
  }, 120_000);

  test("after Docker took the containers with it: they are started again when it is back", async () => {
    await using engine = await startDocker();
    await using host = new ContainerHost(engine, registry);
    const { agent } = await serving(host);
    await engine.stop();
    await until("nothing serves", async () => (await host.ask()) === "");
    await engine.restart();
    await host.serves("v1.0.0");
    await host.settled("v1.0.0", 1);
    expect(await agent.stop()).toBe(0);
  }, 120_000);

  test("while Podman's service is away", async () => {
    const engine = await sharedPodman();
    await using host = new ContainerHost(engine, registry);
    const { agent, nothingLost } = await serving(host);
    await engine.stop();
    await host.publish("v1.1.0");
    await failed(agent);
    await nothingLost();
    await engine.restart();
    await host.serves("v1.1.0");
    await host.settled("v1.1.0", 1);
  }, 120_000);
});
