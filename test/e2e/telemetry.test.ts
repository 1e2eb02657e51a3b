import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { makeAuthority } from "../support/authority.ts";
import { runDewy } from "../support/dewy.ts";
import { type Family, sampleValue } from "../support/exposition.ts";
import { freePort } from "../support/free-port.ts";
import { dyingApp, startCommand, TestHost } from "../support/host.ts";
import { metricsOf, missingQueries, namesFor } from "../support/metrics-page.ts";
import { OtlpReceiver } from "../support/otlp-receiver.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const scratch = tempDir();
const authority = makeAuthority(scratch.path);
afterAll(() => scratch[Symbol.dispose]());

type Page = ReadonlyMap<string, Family>;

/** The page, once it says so. */
function pageWith(port: number, what: string, ready: (page: Page) => boolean): Promise<Page> {
  return until(what, async () => {
    const page = await metricsOf(port);
    return ready(page) && page;
  });
}

describe("server --telemetry", () => {
  test("measures deploys, restarts and their reasons, polls and the app's state", async () => {
    await using host = new TestHost();
    const port = freePort();
    host.publish("v1.0.0");
    const agent = host.server(["--telemetry", "--admin-port", `${port}`], startCommand);
    await agent.logged("Telemetry enabled");
    await host.serves("v1.0.0");
    const restarts = (page: Page, reason: string) =>
      sampleValue(page, "dewy_server_restarts_total", { reason });

    const first = await pageWith(
      port,
      "a deploy",
      (page) => sampleValue(page, "dewy_deployments_total") === 1,
    );
    expect([...first.keys()].sort()).toEqual(namesFor("server"));
    expect(["deploy", "signal", "crash"].map((reason) => restarts(first, reason))).toEqual([0, 0, 0]);
    expect(sampleValue(first, "dewy_supervisor_state", { state: "running" })).toBe(1);
    expect(sampleValue(first, "dewy_release_info", { tag: "v1.0.0" })).toBe(1);
    expect(sampleValue(first, "dewy_build_info", { command: "server" })).toBe(1);
    expect(sampleValue(first, "dewy_quarantined")).toBe(0);

    host.publish("v1.1.0");
    await host.serves("v1.1.0");
    const second = await pageWith(port, "a restart", (page) => restarts(page, "deploy") === 1);
    expect(second.get("dewy_release_info")?.samples.map(({ labels }) => labels["tag"])).toEqual(["v1.1.0"]);

    process.kill(agent.pid, "SIGHUP");
    await pageWith(port, "a restart by signal", (page) => restarts(page, "signal") === 1);
    const answer = await until("generation 3 answers", async () => {
      const answer = await host.ask();
      return answer.startsWith("v1.1.0 3 ") && answer;
    });
    process.kill(Number(answer.split(" ")[2]), "SIGKILL");
    await pageWith(port, "a restart after a crash", (page) => restarts(page, "crash") === 1);

    host.publish("v1.2.0", dyingApp("v1.2.0", 3));
    await pageWith(port, "an error", (page) => sampleValue(page, "dewy_deployment_errors_total") === 1);
    renameSync(host.registry, `${host.registry}-away`);
    const last = await pageWith(port, "a failed poll", (page) => {
      return (sampleValue(page, "dewy_poll_total", { result: "failure" }) ?? 0) > 0;
    });
    expect(sampleValue(last, "dewy_poll_last_success_timestamp")).toBeGreaterThan(Date.now() / 1000 - 300);
    expect(sampleValue(last, "dewy_deployment_duration_seconds_count", { command: "server" })).toBe(2);
    expect(await missingQueries("server", last)).toEqual([]);
  }, 120_000);

  test("can be asked for its status, too", async () => {
    await using host = new TestHost();
    const port = freePort();
    host.publish("v1.0.0");
    const agent = host.server(["--telemetry", "--admin-port", `${port}`]);
    await agent.logged("Start notification");
    expect(await (await fetch(`http://127.0.0.1:${port}/api/status`)).json()).toMatchObject({
      command: "server",
      current_version: "v1.0.0",
      is_running: true,
      trouble: null,
    });
    const { code, stdout } = await runDewy(["status", "--root", host.root, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ admin: { port, problem: null }, replicas: null });
    expect(await agent.stop()).toBe(0);
    expect(agent.errors()).toEqual([]);
  }, 120_000);
});

describe("assets --telemetry", () => {
  test("measures deploys and polls", async () => {
    await using host = new TestHost();
    const port = freePort();
    host.publish("v1.0.0");
    host.assets(["--telemetry", "--admin-port", `${port}`]);
    const page = await pageWith(
      port,
      "a deploy",
      (page) => sampleValue(page, "dewy_deployments_total") === 1,
    );
    expect([...page.keys()].sort()).toEqual(namesFor("assets"));
    expect(sampleValue(page, "dewy_deployment_duration_seconds_count", { command: "assets" })).toBe(1);
    expect(await missingQueries("assets", page)).toEqual([]);
  }, 120_000);
});

describe("without telemetry", () => {
  test.each(["server", "assets"] as const)(
    "%s has no admin API, and forgets where one was",
    async (command) => {
      await using host = new TestHost();
      host.publish("v1.0.0");
      const measured = host[command](["--telemetry", "--admin-port", `${freePort()}`]);
      await measured.logged("Admin API server started");
      await measured.logged("Deploy done");
      expect(await measured.stop()).toBe(0);
      const record = join(host.root, ".dewy/admin.json");
      expect(existsSync(record)).toBe(true);
      const agent = host[command]();
      await agent.logged("Deploy skipped");
      expect(agent.records.map(({ msg }) => msg)).not.toContain("Admin API server started");
      expect(existsSync(record)).toBe(false);
      expect(await agent.stop()).toBe(0);
    },
    120_000,
  );
});

describe("--otlp-endpoint", () => {
  const often = { OTEL_METRIC_EXPORT_INTERVAL: "200" };

  test("sends every instrument, and at the end what the end was like", async () => {
    await using host = new TestHost();
    await using collector = await OtlpReceiver.start();
    host.publish("v1.0.0");
    const flags = ["--otlp-endpoint", `127.0.0.1:${collector.port}`, "--otlp-insecure"];
    const agent = host.server([...flags, "--admin-port", `${freePort()}`], undefined, often);
    await agent.logged("Telemetry enabled", { otlp_endpoint: `127.0.0.1:${collector.port}` });
    await until("a deploy", () => collector.metric("dewy.deployments.total")?.points[0]?.value === 1);
    const names = collector.exports.at(-1)?.metrics.map(({ name }) => name) ?? [];
    expect(names.map((name) => name.replaceAll(".", "_")).sort()).toEqual(
      namesFor("server").map((name) => name.replace(/_seconds$/, "")),
    );
    expect(collector.exports.at(-1)?.resource).toMatchObject({
      "service.name": "dewy",
      "service.instance.id": expect.stringMatching(new RegExp(`:${host.root}$`)),
    });
    expect(await agent.stop()).toBe(0);
    const states = collector.metric("dewy.supervisor.state")?.points ?? [];
    expect(states.filter(({ value }) => value === 1).map(({ attributes }) => attributes["state"])).toEqual([
      "stopped",
    ]);
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("goes by TLS, with a private authority and a token that no record has", async () => {
    await using host = new TestHost();
    await using collector = await OtlpReceiver.start({ tls: authority.issue("IP:127.0.0.1", 2) });
    host.publish("v1.0.0");
    const agent = host.assets(
      ["--otlp-endpoint", `127.0.0.1:${collector.port}`, "--admin-port", `${freePort()}`],
      {
        ...often,
        SSL_CERT_FILE: authority.ca,
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20pl4nted",
        OTEL_SERVICE_NAME: "site",
      },
    );
    await until("an export", () => collector.exports.length > 0);
    expect(collector.headers[0]).toMatchObject({ authorization: "Bearer pl4nted" });
    expect(collector.exports[0]?.resource).toMatchObject({ "service.name": "site" });
    await agent.logged("Deploy done");
    expect(await agent.stop()).toBe(0);
    expect(agent.output).not.toContain("pl4nted");
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("with a collector that is away, then hangs, costs a WARN and keeps nothing from ending", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const port = freePort();
    const flags = [
      "--otlp-endpoint",
      `127.0.0.1:${port}`,
      "--otlp-insecure",
      "--admin-port",
      `${freePort()}`,
    ];
    const agent = host.server(flags, undefined, often);
    await host.serves("v1.0.0");
    await agent.logged("Telemetry collector does not take metrics");
    await using collector = await OtlpReceiver.start({ port });
    await agent.logged("Telemetry collector takes metrics again");
    collector.mood = "hangs";
    const { calls } = collector;
    await until("a call that hangs", () => collector.calls > calls);
    expect(await agent.stop()).toBe(0);
    const warnings = agent.records.filter(({ level, msg }) => level === "WARN" && msg.includes("metrics"));
    expect(warnings.length).toBeLessThanOrEqual(2);
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("whose headers make no sense is refused before anything is touched", async () => {
    await using host = new TestHost();
    const args = ["assets", ...host.flags(), "--telemetry"];
    const { code, stderr } = await runDewy(args, { env: { OTEL_EXPORTER_OTLP_HEADERS: "pl4nted" } });
    expect(code).toBe(1);
    expect(stderr).toContain("OTEL_EXPORTER_OTLP_HEADERS: part 1 is not key=value");
    expect(stderr).not.toContain("pl4nted");
    expect(existsSync(join(host.root, "releases"))).toBe(false);
  });
});
