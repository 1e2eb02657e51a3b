import { hostname } from "node:os";
import type { AgentConfig } from "../../config/config.ts";
import { records } from "../../events.ts";
import type { ProxyObserver } from "../../proxy/observer.ts";
import { type Metrics, noMetrics } from "../../telemetry/metrics.ts";
import { endpointText, type MetricsPage } from "../../telemetry/telemetry.ts";
import { build } from "../../version.ts";
import type { AgentParts } from "../run/parts.ts";

/** How the agent is measured; closed last, so that what its end was like is sent too. */
export interface AgentTelemetry {
  readonly metrics: Metrics;
  /** For `/metrics`; null: telemetry is off. */
  readonly page: (() => Promise<MetricsPage>) | null;
  /** From one check to the next, as it was asked for. */
  readonly intervalMs: number;
}

/** Without telemetry nothing of OpenTelemetry is loaded. `config-invalid`: its variables make no sense. */
export async function openTelemetry(
  { telemetry: chosen, command, intervalMs }: AgentConfig,
  parts: Pick<AgentParts, "env" | "layout" | "clock" | "log" | "hurry" | "open">,
): Promise<AgentTelemetry> {
  if (chosen === null) return { metrics: noMetrics, page: null, intervalMs };
  const { startTelemetry } = await import("../../telemetry/otel.ts");
  const { env, layout, log, open } = parts;
  const host = hostname();
  const resource = {
    "service.name": "dewy",
    "host.name": host,
    // Several agents of one host send to one collector.
    "service.instance.id": `${host}:${layout.root}`,
  };
  const telemetry = open.use(
    await startTelemetry({ otlp: chosen.otlp, version: build.version, resource, env }, parts),
  );
  const { version, commit } = build;
  telemetry.metrics.observe(() => [
    { name: "dewy.build.info", labels: { version, commit, command }, value: 1 },
  ]);
  log.info(records.telemetryEnabled, {
    otlp_endpoint: chosen.otlp === null ? undefined : endpointText(chosen.otlp),
  });
  return { metrics: telemetry.metrics, page: () => telemetry.page(), intervalMs };
}

/** What the proxy tells as it happens; the rest is read from its statistics. Its ports are known beforehand. */
export function proxyObserver(metrics: Metrics, ports: readonly number[]): ProxyObserver {
  const recorders = new Map(
    ports.map((proxy_port) => [
      proxy_port,
      {
        latency: metrics.histogram("dewy.proxy.connect.latency", { proxy_port }),
        duration: metrics.histogram("dewy.proxy.connection.duration", { proxy_port }),
      },
    ]),
  );
  return {
    connected: (port, latencyMs) => recorders.get(port)?.latency(latencyMs / 1000),
    closed: (port, durationMs) => recorders.get(port)?.duration(durationMs / 1000),
  };
}
