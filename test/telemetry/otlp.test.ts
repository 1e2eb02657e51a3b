import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { CollectedMetrics } from "../../src/telemetry/collected.ts";
import { startTelemetry, type TelemetryOptions } from "../../src/telemetry/otel.ts";
import { otlpExport } from "../../src/telemetry/otlp.ts";
import { systemClock } from "../../src/util/time.ts";
import { makeAuthority } from "../support/authority.ts";
import { freePort } from "../support/host.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { recordingLog } from "../support/recording.ts";
import { instrumentTable, measureAll } from "../support/telemetry-readings.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const down = "Telemetry collector does not take metrics";
const back = "Telemetry collector takes metrics again";
const scratch = tempDir();
const authority = makeAuthority(scratch.path);
afterAll(() => scratch[Symbol.dispose]());

interface Changes {
  readonly host?: string;
  readonly tls?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly resource?: TelemetryOptions["resource"];
}

/** An exporter to the port; each instrument has a value. */
async function exporting(port: number, changes: Changes = {}) {
  const { host = "127.0.0.1", tls = false, resource = { "service.name": "dewy" } } = changes;
  const env = { OTEL_METRIC_EXPORT_INTERVAL: "100", ...changes.env };
  const log = recordingLog();
  const hurry = new AbortController();
  const telemetry = await startTelemetry(
    { otlp: { host, port, tls }, version: "v1.2.3", resource, env },
    { clock: systemClock, log, hurry: hurry.signal },
  );
  measureAll(telemetry.metrics);
  const logged = (message: string, count = 1) =>
    until(message, () => log.records.filter((record) => record.message === message).length >= count);
  const warning = () => log.records.find(({ level }) => level === "warn")?.attributes;
  return { ...telemetry, log, logged, warning, hurry };
}

const received = (collector: OtlpReceiver, count = 1) =>
  until(`${count} exports`, () => collector.exports.length >= count);

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

describe("TLS", () => {
  const trusting = { SSL_CERT_FILE: authority.ca };

  test.each<[string, string, string]>([
    ["by its address", "IP:127.0.0.1", "127.0.0.1"],
    ["by its name", "DNS:localhost", "localhost"],
  ])("takes a collector %s with an authority of SSL_CERT_FILE", async (_, names, host) => {
    await using collector = await OtlpReceiver.start({ tls: authority.issue(names, 2) });
    await using telemetry = await exporting(collector.port, { host, tls: true, env: trusting });
    await received(collector);
    expect(telemetry.log.at("warn")).toEqual([]);
  });

  test.each<[string, string, number, Readonly<Record<string, string>>, RegExp]>([
    ["of an authority nobody knows", "IP:127.0.0.1", 2, {}, /UNABLE_TO|SELF_SIGNED|CERT/],
    ["of another host", "IP:127.0.0.2", 2, trusting, /ALTNAME/],
    ["that has expired", "IP:127.0.0.1", -1, trusting, /EXPIRED/],
  ])("refuses a certificate %s, and says why", async (_, names, days, env, reason) => {
    await using collector = await OtlpReceiver.start({ tls: authority.issue(names, days) });
    await using telemetry = await exporting(collector.port, { tls: true, env });
    await telemetry.logged(down);
    expect(`${telemetry.warning()?.["error"]}`).toMatch(reason);
    expect(telemetry.warning()?.["hint"]).toMatch(/SSL_CERT_FILE/);
    expect(collector.calls).toBe(0);
  });

  test("is asked for unless it was renounced: a plain collector gets nothing", async () => {
    await using collector = await OtlpReceiver.start();
    await using telemetry = await exporting(collector.port, { tls: true });
    await telemetry.logged(down);
    expect(telemetry.warning()?.["hint"]).toMatch(/--otlp-insecure/);
    expect(collector.calls).toBe(0);
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
    ["is overloaded", { refuses: 8, details: "too much" }, /RESOURCE_EXHAUSTED/, /collector/],
    ["hangs", "hangs", /DEADLINE_EXCEEDED/, /collector/],
  ])("because it %s is told once, and found again", async (_, mood, error, hint) => {
    await using collector = await OtlpReceiver.start();
    collector.mood = mood;
    await using telemetry = await exporting(collector.port);
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
      const telemetryOptions = { tls, env: { SSL_CERT_FILE: authority.ca } };
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
    const settings = { headers: {}, intervalMs: 3_600_000, sslCertFile: undefined, userAgent: "dewy/v1" };
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
    const before = heapBytes();
    await fail(1500);
    expect(heapBytes() - before).toBeLessThan(1024 * 1024);
    process.off("unhandledRejection", onRejection);
    expect(rejections).toEqual([]);
    expect(log.at("warn")).toEqual([down]);
    otlp.close();
    await provider.shutdown();
  });
});

describe("the end", () => {
  test("of one whose collector is gone is at once", async () => {
    const telemetry = await exporting(freePort());
    await telemetry.logged(down);
    await telemetry[Symbol.asyncDispose]();
    expect(telemetry.log.at("warn")).toEqual([down]);
  });

  test("of one whose collector hangs comes when somebody is in a hurry", async () => {
    await using collector = await OtlpReceiver.start();
    const telemetry = await exporting(collector.port, { env: { OTEL_METRIC_EXPORT_INTERVAL: "3600000" } });
    collector.mood = "hangs";
    const end = telemetry[Symbol.asyncDispose]();
    await until("the last export is under way", () => collector.calls === 1);
    telemetry.hurry.abort();
    await end;
    expect(telemetry.log.at("warn")).toEqual(["Last metrics not sent: the collector took too long"]);
  });

  test("of one whose collector hangs comes by itself, within its bound", async () => {
    await using collector = await OtlpReceiver.start();
    const telemetry = await exporting(collector.port, { env: { OTEL_METRIC_EXPORT_INTERVAL: "3600000" } });
    collector.mood = "hangs";
    await telemetry[Symbol.asyncDispose]();
    expect(telemetry.log.at("warn")).toEqual(["Last metrics not sent: the collector took too long"]);
  }, 9_000);
});

function heapBytes(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}
