import { describe, expect, test } from "bun:test";
import { noMetrics, type Reading } from "../../src/telemetry/metrics.ts";
import { startTelemetry, type TelemetryOptions } from "../../src/telemetry/otel.ts";
import { FakeClock } from "../support/clock.ts";
import { parseExposition, sampleValue } from "../support/exposition.ts";
import { recordingLog } from "../support/recording.ts";
import { histogramNames, instrumentTable, measureAll, observedNames } from "../support/telemetry-readings.ts";

const never = new AbortController().signal;

async function telemetry(options: Partial<TelemetryOptions> = {}) {
  const log = recordingLog();
  const started = await startTelemetry(
    { otlp: null, version: "v1.2.3", resource: { "service.name": "dewy" }, env: {}, ...options },
    { clock: new FakeClock(), log, hurry: never },
  );
  const families = async () => parseExposition((await started.page()).body);
  return { ...started, log, families };
}

describe("the page for Prometheus", () => {
  test("has every instrument by its name, with its type, labels and help", async () => {
    await using started = await telemetry();
    measureAll(started.metrics);
    const families = await started.families();
    const seen = [...families.values()].map(({ name, type, help, samples }) => ({
      name,
      type,
      help,
      labels: Object.keys(samples[0]?.labels ?? {}).filter((label) => label !== "le"),
    }));
    const wanted = [...instrumentTable].map(([name, { kind, labels, help }]) => ({
      name: prometheusName(name, kind),
      type: { counter: "counter", "up-down": "gauge", gauge: "gauge", histogram: "histogram" }[kind],
      help,
      labels: [...labels],
    }));
    expect(sorted(seen)).toEqual(sorted(wanted as typeof seen));
  });

  test.each([
    "dewy_proxy_connections_total",
    "dewy_proxy_connections_active",
    "dewy_proxy_connection_duration_seconds_bucket",
    "dewy_proxy_connect_latency_seconds_bucket",
    "dewy_proxy_bytes_transferred_total",
    "dewy_proxy_errors_total",
    "dewy_proxy_backends",
    "dewy_deployments_total",
    "dewy_deployment_duration_seconds_bucket",
    "dewy_deployment_errors_total",
    "dewy_server_restarts_total",
    "dewy_healthchecks_total",
    "dewy_healthchecks_failures_total",
    "dewy_container_replicas",
    "dewy_container_desired_replicas",
    "dewy_container_restarts",
    "dewy_container_status",
    "dewy_container_last_terminated_exit_code",
    "dewy_container_oom_killed",
    "dewy_container_started_timestamp",
    "dewy_container_info",
    "dewy_build_info",
    "dewy_release_info",
    "dewy_poll_total",
    "dewy_poll_consecutive_failures",
    "dewy_poll_interval",
    "dewy_poll_last_success_timestamp",
    "dewy_quarantined",
    "dewy_supervisor_state",
  ])("names %s as dashboards know it", async (name) => {
    await using started = await telemetry();
    measureAll(started.metrics);
    expect(sampleValue(await started.families(), name)).toBeNumber();
  });

  test("says which format it is, and nothing of scope, target or unit", async () => {
    await using started = await telemetry();
    measureAll(started.metrics);
    const { contentType, body } = await started.page();
    expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(body).not.toMatch(/otel_scope|target_info|# UNIT/);
  });

  test("forgets a series that is no longer observed, and has one that comes", async () => {
    await using started = await telemetry();
    let tag = "v1.0.0";
    started.metrics.observe(() => [{ name: "dewy.release.info", labels: { tag, digest: "" }, value: 1 }]);
    expect(tagsIn(await started.families())).toEqual(["v1.0.0"]);
    tag = "v1.1.0";
    expect(tagsIn(await started.families())).toEqual(["v1.1.0"]);
  });

  test("knows each of very many series, one after the other", async () => {
    await using started = await telemetry();
    let tag = "";
    started.metrics.observe(() => [{ name: "dewy.release.info", labels: { tag, digest: "" }, value: 1 }]);
    for (let release = 0; release < 2500; release++) {
      tag = `v1.0.${release}`;
      await started.page();
    }
    expect(tagsIn(await started.families())).toEqual(["v1.0.2499"]);
  });

  test("has a series once, whoever names it twice", async () => {
    await using started = await telemetry();
    const reading = (value: number): Reading => ({ name: "dewy.quarantined", labels: {}, value });
    started.metrics.observe(() => [reading(1)]);
    started.metrics.observe(() => [reading(2)]);
    expect(sampleValue(await started.families(), "dewy_quarantined")).toBe(2);
  });

  test("escapes what a label holds", async () => {
    await using started = await telemetry();
    const tag = 'v1 "quoted" \\ back\nline';
    started.metrics.observe(() => [{ name: "dewy.release.info", labels: { tag, digest: "" }, value: 1 }]);
    expect(tagsIn(await started.families())).toEqual([tag]);
  });

  test("has what other sources say when one fails, and the log says so once", async () => {
    await using started = await telemetry();
    started.metrics.observe(() => {
      throw new Error("broken source");
    });
    started.metrics.observe(() => [{ name: "dewy.quarantined", labels: {}, value: 4 }]);
    expect(sampleValue(await started.families(), "dewy_quarantined")).toBe(4);
    await started.page();
    expect(started.log.at("warn")).toEqual(["Metrics not read"]);
  });

  test("has only histograms that were asked for, from the first moment on", async () => {
    await using started = await telemetry();
    started.metrics.histogram("dewy.proxy.connect.latency", { proxy_port: 8000 });
    const families = await started.families();
    expect([...families.keys()]).toEqual(["dewy_proxy_connect_latency_seconds"]);
    expect(sampleValue(families, "dewy_proxy_connect_latency_seconds_count")).toBe(0);
  });
});

describe("a histogram", () => {
  test("has the original's buckets", async () => {
    await using started = await telemetry();
    measureAll(started.metrics);
    const families = await started.families();
    const bounds = (name: string) =>
      (families.get(name)?.samples ?? []).flatMap(({ labels }) => labels["le"] ?? []);
    expect(bounds("dewy_proxy_connect_latency_seconds")).toEqual([
      "0.001",
      "0.005",
      "0.01",
      "0.025",
      "0.05",
      "0.1",
      "0.25",
      "0.5",
      "1",
      "5",
      "+Inf",
    ]);
    expect(bounds("dewy_deployment_duration_seconds")).toEqual([
      "1",
      "5",
      "10",
      "30",
      "60",
      "120",
      "300",
      "600",
      "+Inf",
    ]);
  });

  test.each<[number, string, string | null]>([
    [0, "0.001", null],
    [0.001, "0.001", null],
    [0.0011, "0.005", "0.001"],
    [5, "5", "1"],
    [6, "+Inf", "5"],
  ])("counts %d in the bucket up to %s", async (value, inside, outside) => {
    await using started = await telemetry();
    started.metrics.histogram("dewy.proxy.connect.latency", { proxy_port: 8000 })(value);
    const families = await started.families();
    const bucket = (le: string) => sampleValue(families, "dewy_proxy_connect_latency_seconds_bucket", { le });
    expect(bucket(inside)).toBe(1);
    expect(bucket("+Inf")).toBe(1);
    if (outside !== null) expect(bucket(outside)).toBe(0);
    expect(sampleValue(families, "dewy_proxy_connect_latency_seconds_sum")).toBe(value);
  });

  test("has one series for equal labels, another for others", async () => {
    await using started = await telemetry();
    started.metrics.histogram("dewy.deployment.duration", { command: "server" })(2);
    started.metrics.histogram("dewy.deployment.duration", { command: "server" })(3);
    started.metrics.histogram("dewy.deployment.duration", { command: "assets" })(4);
    const families = await started.families();
    const count = (command: string) =>
      sampleValue(families, "dewy_deployment_duration_seconds_count", { command });
    expect([count("server"), count("assets")]).toEqual([2, 1]);
  });
});

test("without telemetry all goes nowhere", () => {
  noMetrics.observe(() => {
    throw new Error("nobody asks");
  });
  expect(noMetrics.histogram("dewy.deployment.duration", { command: "server" })(1)).toBeUndefined();
});

test("the table has instruments of both kinds", () => {
  expect(observedNames.length).toBeGreaterThan(20);
  expect(histogramNames).toHaveLength(3);
});

function prometheusName(name: string, kind: string): string {
  const plain = name.replaceAll(".", "_");
  if (kind === "histogram") return `${plain}_seconds`;
  return kind === "counter" && !plain.endsWith("_total") ? `${plain}_total` : plain;
}

function sorted<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function tagsIn(families: ReturnType<typeof parseExposition>): string[] {
  return (families.get("dewy_release_info")?.samples ?? []).map(({ labels }) => labels["tag"] ?? "");
}
