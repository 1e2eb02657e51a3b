import { afterAll, beforeAll, expect, test } from "bun:test";
import { ContainerHost } from "../../support/container-host.ts";
import type { Engine } from "../../support/engine-process.ts";
import { sharedDocker } from "../../support/engines.ts";
import { type Family, sampleValue } from "../../support/exposition.ts";
import { metricsOf, missingQueries, namesFor } from "../../support/metrics-page.ts";
import { type OciRegistry, startOciRegistry } from "../../support/oci-registry.ts";
import { OtlpReceiver } from "../../support/otlp-receiver.ts";
import { until } from "../../support/until.ts";

let registry: OciRegistry;
let engine: Engine;

beforeAll(async () => {
  [registry, engine] = await Promise.all([startOciRegistry(), sharedDocker()]);
}, 60_000);
afterAll(() => registry[Symbol.asyncDispose]());

type Page = ReadonlyMap<string, Family>;

test("container --telemetry measures containers, their ends, health checks and the proxy", async () => {
  await using host = new ContainerHost(engine, registry);
  await using collector = await OtlpReceiver.start();
  await host.publish("v1.0.0");
  const flags = ["--telemetry", "--replicas", "2", "--otlp-endpoint", `127.0.0.1:${collector.port}`];
  const agent = host.agent([...flags, "--otlp-insecure"]);
  const pageWith = (what: string, ready: (page: Page) => boolean): Promise<Page> =>
    until(what, async () => {
      const page = await metricsOf(host.adminPort);
      return ready(page) && page;
    });
  const replicas = (page: Page) => sampleValue(page, "dewy_container_replicas", { app: host.name });
  const ofPort = { proxy_port: `${host.port}` };

  await host.serves("v1.0.0");
  await agent.logged("Deploy done", { tag: "v1.0.0" });
  const first = await pageWith("a connection", (page) => {
    const ended = sampleValue(page, "dewy_proxy_connection_duration_seconds_count", ofPort) ?? 0;
    return ended > 0 && replicas(page) === 2;
  });
  expect(sampleValue(first, "dewy_container_desired_replicas")).toBe(2);
  expect(sampleValue(first, "dewy_proxy_backends", ofPort)).toBe(2);
  expect(sampleValue(first, "dewy_proxy_connections_total", ofPort)).toBeGreaterThan(0);
  expect(sampleValue(first, "dewy_proxy_bytes_transferred_total", ofPort)).toBeGreaterThan(0);
  expect(sampleValue(first, "dewy_proxy_connect_latency_seconds_count", ofPort)).toBeGreaterThan(0);
  expect(sampleValue(first, "dewy_proxy_errors_total", { proxy_port: `${host.ports[1]}` })).toBe(0);
  expect(sampleValue(first, "dewy_healthchecks_total")).toBeGreaterThanOrEqual(2);
  expect(sampleValue(first, "dewy_container_last_terminated_exit_code")).toBeUndefined();

  const [victim] = await host.containers();
  const container = victim?.Names[0]?.replace(/^\//, "") ?? "";
  await host.api("POST", `/containers/${victim?.Id}/kill`);
  const second = await pageWith("its end", (page) => {
    return sampleValue(page, "dewy_container_last_terminated_exit_code", { container }) !== undefined;
  });
  expect(sampleValue(second, "dewy_container_last_terminated_exit_code", { container })).toBe(137);
  expect(sampleValue(second, "dewy_container_oom_killed", { container })).toBe(0);
  const whole = await pageWith("another in its place", (page) => {
    return replicas(page) === 2 && sampleValue(page, "dewy_proxy_backends", ofPort) === 2;
  });
  expect([...whole.keys()].sort()).toEqual(namesFor("container"));
  expect(await missingQueries("container", whole)).toEqual([]);

  await host.publish("v1.1.0");
  await host.settled("v1.1.0", 2);
  const last = await pageWith("only the new ones", (page) => {
    return sampleValue(page, "dewy_container_info", { version: "v1.0.0" }) === undefined;
  });
  expect(last.has("dewy_container_last_terminated_exit_code")).toBe(false);
  const versions = last.get("dewy_container_info")?.samples.map(({ labels }) => labels["version"]);
  expect(versions).toEqual(["v1.1.0", "v1.1.0"]);
  expect(last.get("dewy_container_status")?.samples).toHaveLength(12);

  expect(await agent.stop()).toBe(0);
  const sent = collector.exports.at(-1)?.metrics.map(({ name }) => name.replaceAll(".", "_")) ?? [];
  for (const name of [
    "dewy_proxy_connections_total",
    "dewy_container_desired_replicas",
    "dewy_release_info",
  ]) {
    expect(sent).toContain(name);
  }
  expect(agent.errors()).toEqual([]);
}, 120_000);
