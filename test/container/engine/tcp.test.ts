import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openRuntime } from "../../../src/container/engine/open.ts";
import type { ContainerRuntime } from "../../../src/container/runtime.ts";
import { systemClock } from "../../../src/util/time.ts";
import { makeCertificates } from "../../support/engine-certificates.ts";
import { failureOf } from "../../support/engine-failure.ts";
import type { Engine } from "../../support/engine-process.ts";
import { startDocker } from "../../support/engines.ts";
import { freePort } from "../../support/free-port.ts";
import { recordingLog } from "../../support/recording.ts";
import { tempDir } from "../../support/temp-dir.ts";

const never = { signal: new AbortController().signal };

describe("Docker by TLS", () => {
  const dir = tempDir();
  const ours = makeCertificates(join(dir.path, "ours"));
  const theirs = makeCertificates(join(dir.path, "theirs"));
  const port = freePort();
  let docker: Engine;

  beforeAll(async () => {
    const { ca, cert, key } = ours.server;
    const tls = ["--tlsverify", `--tlscacert=${ca}`, `--tlscert=${cert}`, `--tlskey=${key}`];
    docker = await startDocker({ flags: [`--host=tcp://127.0.0.1:${port}`, ...tls] });
  }, 90_000);

  afterAll(async () => {
    await docker[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  }, 30_000);

  const open = (host: string, certificates: string) =>
    openDocker({
      DOCKER_HOST: `tcp://${host}:${port}`,
      DOCKER_TLS_VERIFY: "1",
      DOCKER_CERT_PATH: certificates,
    });

  test("is reached with the client's certificate", async () => {
    await using runtime = await open("127.0.0.1", ours.client.directory);
    expect((await runtime.info(never)).name).toBe("docker");
  });

  test.each<[string, string, string]>([
    ["another authority's", "127.0.0.1", theirs.client.directory],
    ["a name that is not in the server's", "localhost", ours.client.directory],
  ])("%s certificate is refused", async (_, host, certificates) => {
    await using runtime = await open(host, certificates);
    expect(await failureOf(runtime.info(never))).toMatchObject({
      code: "engine-unreachable",
      hint: expect.stringContaining("DOCKER_CERT_PATH"),
    });
  });

  test("certificates that are not there are named", async () => {
    await using runtime = await open("127.0.0.1", "/nowhere");
    expect(await failureOf(runtime.info(never))).toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining("/nowhere/ca.pem"),
    });
  });
});

test("an engine by plain TCP is reached", async () => {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) =>
      new URL(request.url).pathname === "/_ping"
        ? new Response("OK", { headers: { "Api-Version": "1.41" } })
        : Response.json([]),
  });
  await using runtime = await openDocker({ DOCKER_HOST: `tcp://127.0.0.1:${server.port}` });
  expect(await runtime.list({}, never)).toEqual([]);
  await server.stop(true);
  expect((await failureOf(runtime.list({}, never))).code).toBe("engine-unreachable");
});

function openDocker(env: Readonly<Record<string, string>>): Promise<ContainerRuntime> {
  return openRuntime({ kind: "docker", env }, { log: recordingLog(), clock: systemClock });
}
