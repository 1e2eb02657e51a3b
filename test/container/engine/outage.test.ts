import { describe, expect, test } from "bun:test";
import { openRuntime } from "../../../src/container/engine/open.ts";
import type { ContainerRuntime } from "../../../src/container/runtime.ts";
import type { InstanceEvent } from "../../../src/replicas/engine.ts";
import { systemClock } from "../../../src/util/time.ts";
import { failureOf } from "../../support/engine-failure.ts";
import { startContractImages } from "../../support/engine-images.ts";
import type { Engine } from "../../support/engine-process.ts";
import { startDocker, startPodman } from "../../support/engines.ts";
import { recordingLog } from "../../support/recording.ts";
import { until } from "../../support/until.ts";

const never = { signal: new AbortController().signal };
const timeoutMs = 90_000;
const engines: [string, () => Promise<Engine>][] = [
  ["Docker", () => startDocker({ flags: ["--live-restore"] })],
  ["Podman", startPodman],
];

describe.each(engines)("%s that goes away", (_, start) => {
  test(
    "fails the calls under way and those that follow, and serves the first one when it is back",
    async () => {
      await using engine = await start();
      await using images = await startContractImages();
      await using silent = startSilentRegistry();
      await using runtime = await open(engine);
      const app = await images.of("ignores-term");
      const image = `${app.repository}:${app.tag}`;
      await runtime.pull({ ...app, platform: null, credentials: null }, never);
      const spec = { name: "outage", platform: null, body: { Image: image, Labels: { outage: "yes" } } };
      const id = await runtime.create(spec, never);
      await runtime.start(id, never);

      const events: InstanceEvent[] = [];
      const underWay = [
        runtime.stop(id, 20_000, never),
        runtime.watch({}, (event) => events.push(event), never),
        runtime.pull(
          { repository: `${silent.host}/app/web`, tag: "1", platform: null, credentials: null },
          never,
        ),
      ].map(failureOf);
      await until("the registry was asked", () => silent.asked > 0);
      await engine.kill();
      for (const failure of await Promise.all(underWay)) expect(failure.code).toBe("engine-unreachable");

      const calls: (() => Promise<unknown>)[] = [
        () => runtime.info(never),
        () => runtime.list({}, never),
        () => runtime.inspect(id, never),
        () => runtime.image(image, never),
        () => runtime.create(spec, never),
        () => runtime.remove(id, never),
        () => runtime.watch({}, () => undefined, never),
      ];
      for (const call of calls) {
        const failure = await failureOf(call());
        expect(failure).toMatchObject({ code: "engine-unreachable", retryable: true });
        expect(failure.hint).toBeDefined();
      }
      await engine.restart();
      expect((await runtime.inspect(id, never))?.id).toBe(id);
      await runtime.remove(id, never);
      expect(await runtime.list({ outage: "yes" }, never)).toEqual([]);
    },
    timeoutMs,
  );

  test(
    "and is stopped in order fails a pull that is under way as the engine's failure, not the registry's",
    async () => {
      await using engine = await start();
      await using silent = startSilentRegistry();
      await using runtime = await open(engine);
      const name = { repository: `${silent.host}/app/web`, tag: "1" };
      const failing = failureOf(runtime.pull({ ...name, platform: null, credentials: null }, never));
      await until("the registry was asked", () => silent.asked > 0);
      await engine.stop();
      expect((await failing).code).toBe("engine-unreachable");
    },
    timeoutMs,
  );
});

test("an engine that is away at the start is no failure of opening", async () => {
  const env = { DOCKER_HOST: "unix:///nowhere/docker.sock" };
  await using runtime = await openRuntime(
    { kind: "docker", env },
    { log: recordingLog(), clock: systemClock },
  );
  expect(await failureOf(runtime.list({}, never))).toMatchObject({
    code: "engine-unreachable",
    message: expect.stringContaining("/nowhere/docker.sock"),
  });
});

test("a host that dewy can't talk to is refused at once", async () => {
  const opening = openRuntime(
    { kind: "docker", env: { DOCKER_HOST: "ssh://me@host" } },
    { log: recordingLog(), clock: systemClock },
  );
  expect(await failureOf(opening)).toMatchObject({ code: "config-invalid" });
});

function open(engine: Engine): Promise<ContainerRuntime> {
  return openRuntime({ kind: engine.name, env: engine.env }, { log: recordingLog(), clock: systemClock });
}

/** Takes requests and never answers. */
function startSilentRegistry(): AsyncDisposable & { readonly host: string; readonly asked: number } {
  let asked = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch() {
      asked++;
      return new Promise<Response>(() => undefined);
    },
  });
  return {
    host: `127.0.0.1:${server.port}`,
    get asked() {
      return asked;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}
