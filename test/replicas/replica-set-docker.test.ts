import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { CreateBody } from "../../src/container/create-body.ts";
import { openRuntime } from "../../src/container/engine/open.ts";
import { creation } from "../../src/container/plan/creation.ts";
import { portBindings } from "../../src/container/plan/port-mapping.ts";
import type { ContainerRuntime } from "../../src/container/runtime.ts";
import type { Deployment } from "../../src/replicas/deployment.ts";
import { containerName, writeLabels } from "../../src/replicas/labels.ts";
import type { ReplicaSetOptions } from "../../src/replicas/parts.ts";
import { ReplicaSet } from "../../src/replicas/replica-set.ts";
import type { ReplicaLoss } from "../../src/replicas/upkeep.ts";
import { systemClock } from "../../src/util/time.ts";
import { type AppMode, pushApp } from "../support/container-app.ts";
import type { Engine } from "../support/engine-process.ts";
import { sharedDocker, sharedPodman } from "../support/engines.ts";
import { freePort } from "../support/free-port.ts";
import { startLoad } from "../support/load.ts";
import { type OciRegistry, startOciRegistry } from "../support/oci-registry.ts";
import { recordingLog } from "../support/recording.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const noSteps = { switched: async () => undefined, commit: async () => undefined };
const root = "/srv/rs";
let deploys = 0;

describe.each([
  ["Docker", sharedDocker],
  ["Podman", sharedPodman],
] as const)("replicas on %s", (_, start) => {
  let engine: Engine;
  let registry: OciRegistry;
  let runtime: ContainerRuntime;
  let apps = 0;

  beforeAll(async () => {
    engine = await start();
    registry = await startOciRegistry();
    runtime = await openRuntime(
      { kind: engine.name, env: engine.env },
      { log: recordingLog(), clock: systemClock },
    );
  }, 120_000);

  afterAll(async () => {
    await runtime[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  async function deployment(
    app: string,
    tag: string,
    mode: AppMode,
    proxyPort: number,
    fields: Partial<CreateBody> = {},
  ): Promise<Deployment> {
    await pushApp(registry, "rs/app", tag, mode);
    const repository = `${registry.host}/rs/app`;
    const image = await runtime.pull({ repository, tag, platform: null, credentials: null }, c);
    const deployedAt = new Date(Date.now() + 1000 * ++deploys);
    const ports = [{ proxyPort, appPort: 8080 }];
    const makeSpec = (replica: number) => {
      const labels = { app, version: tag, deployedAt, replica, root, options: "o1", digest: null };
      const { ExposedPorts, PortBindings } = portBindings(ports);
      const body = {
        Image: image.id,
        Labels: writeLabels(labels),
        ExposedPorts,
        HostConfig: { PortBindings },
        ...fields,
      };
      return { name: containerName(app, deployedAt, replica), platform: null, body };
    };
    return {
      version: tag,
      image: { reference: image.id, id: image.id },
      deployedAt,
      options: "o1",
      ports,
      usesHealthcheck: false,
      ...creation({ reference: image.id, id: image.id }, makeSpec, runtime),
    };
  }

  function agent(app: string, port: number, overrides: Partial<ReplicaSetOptions> = {}) {
    const { proxy, ...host } = startProxy({ listen: [{ host: "127.0.0.1", port }] });
    const log = recordingLog();
    const losses: ReplicaLoss[] = [];
    const onReplicaLost = (loss: ReplicaLoss) => void losses.push(loss);
    const set = ReplicaSet.open(
      {
        app,
        root,
        replicas: 2,
        // A machine that does other things, too, may take its time to start one.
        health: { path: "/up", timeoutMs: 30_000, intervalMs: 500, threshold: 2, greeting: "" },
        drainMs: 500,
        stopGraceMs: 3000,
        leaveRunning: false,
        ...overrides,
      },
      { runtime, rotation: proxy, clock: systemClock, log, onReplicaLost },
    );
    const containers = () => runtime.list({ "dewy.app": app }, c);
    return {
      set,
      proxy,
      log,
      losses,
      containers,
      settles: (version: string, replicas = 2) =>
        until(`${replicas} replicas of ${version}`, async () => {
          const all = await containers();
          const right = all.filter(
            ({ status, labels }) => status === "running" && labels["dewy.version"] === version,
          );
          const members = new Set(proxy.members);
          const serve = right.every(({ id }) => members.has(id)) && members.size === replicas;
          return all.length === replicas && right.length === replicas && serve;
        }),
      async [Symbol.asyncDispose]() {
        await set[Symbol.asyncDispose]();
        await host[Symbol.asyncDispose]();
      },
    };
  }

  const fresh = () => ({ app: `rs${process.pid}-${apps++}`, port: freePort() });

  test("are updated under load without a failed request", async () => {
    const { app, port } = fresh();
    await using host = agent(app, port);
    await host.set.update(await deployment(app, "v1", "good", port), noSteps, c);
    const load = startLoad(port, { kept: 2, fresh: 2 });
    for (const tag of ["v2", "v3"]) {
      expect(await host.set.update(await deployment(app, tag, "good", port), noSteps, c)).toBe("restarted");
      await host.set.settled(c);
      await host.settles(tag);
    }
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()].sort()).toEqual(["v1", "v2", "v3"]);
    expect(host.log.at("error")).toEqual([]);
    await host.set.close({ drain: false }, c);
    expect(await host.containers()).toEqual([]);
    expect(host.log.records.at(-1)?.attributes).toEqual({ containers_cleaned: 2 });
  }, 120_000);

  test.each<[AppMode, string | null, readonly string[], string, RegExp]>([
    ["exit", "/up", [], "start-failed", /exited with code 3/],
    ["sick", "/up", [], "health-failed", /503/],
    ["good", null, ["PORTS=9999"], "health-failed", /accepts but does not serve|connection refused/],
  ])(
    "serve on when an image is %s, health path %p, %p",
    async (mode, path, Env, code, message) => {
      const { app, port } = fresh();
      // One that ends by itself has its time to do so; the others have one that v1 can get well in.
      const timeoutMs = mode === "exit" ? 30_000 : 5000;
      const health = { path, timeoutMs, intervalMs: 500, threshold: 2, greeting: "" };
      await using host = agent(app, port, { replicas: 1, health });
      await host.set.update(await deployment(app, "v1", "good", port), noSteps, c);
      const ids = [...host.proxy.members];
      const bad = await deployment(app, `v2-${mode}`, mode, port, { Env });
      const error = await host.set.update(bad, noSteps, c).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code, blame: "release", message: expect.stringMatching(message) });
      await host.settles("v1", 1);
      expect([...host.proxy.members]).toEqual(ids);
    },
    120_000,
  );

  test("whose command is missing fail to start by their own fault", async () => {
    const { app, port } = fresh();
    await using host = agent(app, port, { replicas: 1 });
    const bad = await deployment(app, "v1", "good", port, { Cmd: ["/nowhere"] });
    const error = await host.set.update(bad, noSteps, c).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "start-failed" });
    expect(await host.containers()).toEqual([]);
  }, 120_000);

  test("are replaced when somebody kills, pauses or removes them", async () => {
    const { app, port } = fresh();
    await using host = agent(app, port);
    await host.set.update(await deployment(app, "v1", "good", port), noSteps, c);
    for (const command of [["kill"], ["pause"], ["rm", "-f"]]) {
      const [victim = "", other = ""] = host.proxy.members;
      engine.cli(...command, victim);
      await until("it left", () => !host.proxy.members.includes(victim));
      await host.settles("v1");
      expect(host.proxy.members).toContain(other);
    }
    // A busy engine may refuse a start, which is tried again.
    const own = host.losses.filter(({ kind, blame }) => kind === "died" || blame !== "environment");
    if (host.losses.length > own.length) console.error(host.losses);
    expect(own.map(({ kind }) => kind)).toEqual(["died", "died", "died"]);
  }, 120_000);

  test("are made good at once when the last one is killed while a new version is checked", async () => {
    const { app, port } = fresh();
    const health = { path: "/up", timeoutMs: 600_000, intervalMs: 500, threshold: 2, greeting: "" };
    await using host = agent(app, port, { replicas: 1, health });
    await host.set.update(await deployment(app, "v1", "good", port), noSteps, c);
    const [old = ""] = host.proxy.members;
    const bad = await deployment(app, "v2-sick", "sick", port);
    const update = host.set.update(bad, noSteps, c).catch((thrown: unknown) => thrown);
    await until("the new one is asked", () => host.set.replicas().some(({ seen }) => seen.endsWith(": 503")));
    engine.cli("kill", old);
    expect(await update).toMatchObject({
      blame: "environment",
      message: expect.stringContaining("no container that serves was left while the new version was checked"),
    });
    await host.settles("v1", 1);
    expect(host.proxy.members).not.toContain(old);
  }, 60_000);

  test("serve on with the same containers after the agent was killed", async () => {
    const { app, port } = fresh();
    const v1 = await deployment(app, "v1", "good", port);
    const { ids } = await (async () => {
      await using host = agent(app, port, { leaveRunning: true });
      await host.set.update(v1, noSteps, c);
      return { ids: new Set(host.proxy.members) };
    })();
    await using next = agent(app, port);
    await next.set.resume(v1, c);
    await next.settles("v1");
    expect(new Set(next.proxy.members)).toEqual(ids);
    expect(next.log.at("warn")).toEqual([]);
  }, 120_000);
});
