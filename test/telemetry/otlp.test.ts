import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { CollectedMetrics } from "../../src/telemetry/collected.ts";
import { otlpExport } from "../../src/telemetry/otlp.ts";
import { systemClock } from "../../src/util/time.ts";
import { makeAuthority } from "../support/authority.ts";
import { freePort } from "../support/free-port.ts";
import { back, down, exporting, received } from "../support/otlp-exporter.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { recordingLog } from "../support/recording.ts";
import { instrumentTable, measureAll } from "../support/telemetry-readings.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const scratch = tempDir();
const authority = makeAuthority(scratch.path);
afterAll(() => scratch[Symbol.dispose]());

/** Of a collector that says nothing it is known soon; who answers has the usual ten seconds, however busy the host is. */
const soon = { OTEL_EXPORTER_OTLP_TIMEOUT: "300" };

describe("a collector gets", () => {
  test("every instrument by its name, with its kind, unit, labels and values", async () => {
    await using collector = await OtlpReceiver.start();
    await using _telemetry = await exporting(collector.port);
    await received(collector);
    const metrics = collector.exports[0]?.metrics ?? [];
    const seen = metrics.map(({ name, unit, description, kind, monotonic, temporality, points }) => {
      const [point] = points;
      return {
        name,
        unit,
        description,
        kind: { sum: monotonic ? "counter" : "up-down", gauge: "gauge", histogram: "histogram" }[kind],
        labels: Object.keys(point?.attributes ?? {}),
        temporality: kind === "gauge" ? "none" : temporality,
        value: point?.value,
      };
    });
    const wanted = [...instrumentTable].map(([name, { unit, help, kind, labels }]) => ({
      name,
      unit,
      description: help,
      kind,
      labels: [...labels],
      temporality: kind === "gauge" ? "none" : 2,
      value: kind === "histogram" ? 1 : 3,
    }));
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect(seen.sort(byName) as unknown[]).toEqual(wanted.sort(byName));
  });

  test("histograms with their bounds, counts and sum", async () => {
    await using collector = await OtlpReceiver.start();
    await using _telemetry = await exporting(collector.port);
    await received(collector);
    const [point] = collector.metric("dewy.proxy.connect.latency")?.points ?? [];
    expect(point).toMatchObject({
      bounds: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      counts: [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
      sum: 0.03,
    });
  });

  test("sums that begin when the agent did, at times that go on", async () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    await using collector = await OtlpReceiver.start();
    await using _telemetry = await exporting(collector.port);
    await received(collector, 2);
    const points = collector.exports.map(
      ({ metrics }) => metrics.find(({ name }) => name === "dewy.deployments.total")?.points[0],
    );
    const [first, second] = points;
    expect(first?.startNanos).toBeGreaterThanOrEqual(before);
    expect(second?.startNanos).toBe(first?.startNanos ?? -1n);
    expect(second?.timeNanos).toBeGreaterThan(first?.timeNanos ?? 0n);
  });

  test("who is measured: dewy's own words, and OpenTelemetry's variables before them", async () => {
    await using collector = await OtlpReceiver.start();
    await using _telemetry = await exporting(collector.port, {
      resource: { "service.name": "dewy", "host.name": "web1" },
      env: { OTEL_SERVICE_NAME: "shop", OTEL_RESOURCE_ATTRIBUTES: "team=blue" },
    });
    await received(collector);
    expect(collector.exports[0]?.resource).toEqual({
      "service.name": "shop",
      "service.version": "v1.2.3",
      "host.name": "web1",
      team: "blue",
    });
    expect(collector.exports[0]?.scopes).toEqual(["dewy"]);
  });

  test("the headers of OTEL_EXPORTER_OTLP_HEADERS, and dewy's name", async () => {
    await using collector = await OtlpReceiver.start();
    await using _telemetry = await exporting(collector.port, {
      env: { OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20planted,x-tenant=a%2Cb" },
    });
    await received(collector);
    expect(collector.headers[0]).toMatchObject({
      authorization: "Bearer planted",
      "x-tenant": "a,b",
      "user-agent": expect.stringMatching(/^dewy\/v1\.2\.3 /),
    });
  });

  test("at the end what was measured last, without waiting for the interval", async () => {
    await using collector = await OtlpReceiver.start();
    {
      await using telemetry = await exporting(collector.port, {
        env: { OTEL_METRIC_EXPORT_INTERVAL: "3600000" },
      });
      telemetry.metrics.histogram("dewy.deployment.duration", { command: "server" })(2);
    }
    expect(collector.exports).toHaveLength(1);
    expect(collector.metric("dewy.deployment.duration")?.points).toHaveLength(2);
  });

  test("nothing of OpenTelemetry's own metrics", async () => {
    await using collector = await OtlpReceiver.start();
    await using _telemetry = await exporting(collector.port);
    await received(collector, 2);
    const names = collector.exports.flatMap(({ metrics }) => metrics.map(({ name }) => name));
    expect(names.filter((name) => !name.startsWith("dewy."))).toEqual([]);
  });
});

describe("a collector that is away", () => {
  test("at the start costs one WARN, is found when it comes, and gets all that was measured", async () => {
    const port = freePort();
    await using telemetry = await exporting(port);
    await telemetry.logged(down);
    expect(telemetry.warning()).toMatchObject({ endpoint: `127.0.0.1:${port}`, hint: expect.any(String) });
    await using collector = await OtlpReceiver.start({ port });
    await telemetry.logged(back);
    expect(collector.metric("dewy.deployments.total")?.points[0]?.value).toBe(3);
    expect(telemetry.log.at("warn")).toEqual([down]);
    expect(telemetry.log.at("error")).toEqual([]);
  });

  test("in the middle costs one WARN each time, and one INFO each time it is back", async () => {
    const port = freePort();
    let collector = await OtlpReceiver.start({ port });
    await using telemetry = await exporting(port);
    await received(collector);
    for (const outage of [1, 2]) {
      await collector[Symbol.asyncDispose]();
      await telemetry.logged(down, outage);
      collector = await OtlpReceiver.start({ port });
      await telemetry.logged(back, outage);
    }
    await collector[Symbol.asyncDispose]();
    expect(telemetry.log.at("info")).toEqual([back, back]);
  });

  test.each<[string, OtlpReceiver["mood"], RegExp, RegExp]>([
    ["refuses the token", { refuses: 16, details: "bad token" }, /UNAUTHENTICATED: bad token/, /HEADERS/],
    ["is overloaded", { refuses: 8, details: "too much" }, /RESOURCE_EXHAUSTED/, /its limits/],
    ["takes no metrics", { refuses: 12, details: "no" }, /UNIMPLEMENTED/, /takes no metrics/],
    ["hangs", "hangs", /DEADLINE_EXCEEDED/, /collector/],
  ])("because it %s is told once, and found again", async (_, mood, error, hint) => {
    await using collector = await OtlpReceiver.start();
    collector.mood = mood;
    await using telemetry = await exporting(collector.port, { env: soon });
    await telemetry.logged(down);
    await until("more tries", () => collector.calls >= 3);
    expect(telemetry.log.at("warn")).toEqual([down]);
    expect(`${telemetry.warning()?.["error"]}`).toMatch(error);
    expect(`${telemetry.warning()?.["hint"]}`).toMatch(hint);
    collector.mood = "takes";
    await telemetry.logged(back);
  });

  test("and quotes a header's value does not put it into the log", async () => {
    await using collector = await OtlpReceiver.start();
    collector.mood = { refuses: 16, details: "no such token: planted, nor Bearer planted" };
    await using telemetry = await exporting(collector.port, {
      env: { OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20planted" },
    });
    await telemetry.logged(down);
    expect(JSON.stringify(telemetry.log.records)).not.toContain("planted");
  });

  test.each([false, true])(
    "and takes connections but says nothing is given up, and found again (TLS: %p)",
    async (tls) => {
      const sockets = new Set<Socket>();
      const silent = createServer((socket) => void sockets.add(socket.on("error", () => undefined)));
      const port = freePort();
      await new Promise<void>((done) => silent.listen(port, "127.0.0.1", done));
      const telemetryOptions = { tls, env: { ...soon, SSL_CERT_FILE: authority.ca } };
      await using telemetry = await exporting(port, telemetryOptions);
      await telemetry.logged(down);
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => silent.close(done));
      const certificate = tls ? { tls: authority.issue("IP:127.0.0.1", 2) } : {};
      await using collector = await OtlpReceiver.start({ port, ...certificate });
      await telemetry.logged(back);
      expect(collector.exports.length).toBeGreaterThan(0);
    },
  );

  test("for hundreds of exports leaves nothing behind: no rejection, no record, no memory", async () => {
    const log = recordingLog();
    const metrics = new CollectedMetrics({ name: "dewy" }, { clock: systemClock, log });
    measureAll(metrics);
    const settings = {
      headers: {},
      intervalMs: 3_600_000,
      timeoutMs: 10_000,
      certificate: null,
      sslCertFile: undefined,
      userAgent: "dewy/v1",
    };
    const endpoint = { host: "127.0.0.1", port: freePort(), tls: false };
    const otlp = otlpExport({ ...endpoint, ...settings }, metrics, log);
    const provider = new MeterProvider({ readers: [otlp.reader] });
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown) => void rejections.push(reason);
    process.on("unhandledRejection", onRejection);
    const fail = async (times: number) => {
      for (let round = 0; round < times; round++) await provider.forceFlush();
    };
    await fail(300);
    const growths: number[] = [];
    for (let round = 0; round < 4; round++) {
      const before = heapBytes();
      await fail(400);
      growths.push(heapBytes() - before);
    }
    // What stays behind makes the heap grow in each of equal rounds: by more than 100 bytes an export.
    expect(Math.min(...growths)).toBeLessThan(400 * 100);
    process.off("unhandledRejection", onRejection);
    expect(rejections).toEqual([]);
    expect(log.at("warn")).toEqual([down]);
    otlp.close();
    await provider.shutdown();
  });
});

function heapBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}
