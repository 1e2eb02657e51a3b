import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { Log } from "../log.ts";
import { abortable, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { CollectedMetrics } from "./collected.ts";
import { readExportSettings } from "./environment.ts";
import type { OtlpExport } from "./otlp.ts";
import { contentType, ScrapeReader } from "./prometheus.ts";
import type { OtlpEndpoint, Telemetry } from "./telemetry.ts";

export interface TelemetryOptions {
  /** null: nothing is sent, `page` is all. */
  readonly otlp: OtlpEndpoint | null;
  /** Of the build, `v1.2.3`. */
  readonly version: string;
  /** Who is measured, unless OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say otherwise. */
  readonly resource: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface TelemetryDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the agent's end is to take no longer. */
  readonly hurry: AbortSignal;
}

/** How long what was measured last may take to be sent. */
const flushMs = 5_000;

/** `config-invalid` when OpenTelemetry's variables make no sense. Whether a collector answers shows later. */
export async function startTelemetry(options: TelemetryOptions, deps: TelemetryDeps): Promise<Telemetry> {
  const { version, resource, env } = options;
  const settings = readExportSettings(env);
  const metrics = new CollectedMetrics({ name: "dewy", version }, deps);
  const scrapes = new ScrapeReader(metrics);
  const otlp = options.otlp === null ? null : await openExport(options.otlp, options, metrics, deps.log);
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ ...resource, "service.version": version, ...settings.resource }),
    readers: otlp === null ? [scrapes] : [scrapes, otlp.reader],
  });
  return {
    metrics,
    page: async () => ({ contentType, body: await scrapes.page() }),
    [Symbol.asyncDispose]: () => stop(provider, otlp, deps),
  };
}

async function openExport(
  endpoint: OtlpEndpoint,
  { env, version }: TelemetryOptions,
  metrics: CollectedMetrics,
  log: Log,
): Promise<OtlpExport> {
  const { headers, intervalMs, timeoutMs, certificate } = readExportSettings(env);
  // gRPC is loaded by those who use it.
  const { otlpExport } = await import("./otlp.ts");
  const sslCertFile = env["SSL_CERT_FILE"];
  return otlpExport(
    {
      ...endpoint,
      headers,
      intervalMs,
      timeoutMs,
      certificate,
      sslCertFile,
      userAgent: `dewy/${version}`,
    },
    metrics,
    log,
  );
}

/** Sends what was measured last, within a bound, and gives everything up. Never fails. */
async function stop(provider: MeterProvider, otlp: OtlpExport | null, deps: TelemetryDeps): Promise<void> {
  const { signal } = withDeadline({ signal: deps.hurry }, flushMs);
  try {
    await abortable(provider.shutdown(), signal);
  } catch {
    // That the collector is out of reach has been said.
    if (otlp?.isDown === false) deps.log.warn("Last metrics not sent: the collector took too long");
  } finally {
    otlp?.close();
  }
}
