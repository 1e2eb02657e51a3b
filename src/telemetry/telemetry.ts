import type { Metrics } from "./metrics.ts";

/** Metrics that are collected and given out, until it is closed. */
export interface Telemetry extends AsyncDisposable {
  readonly metrics: Metrics;
  /** Prometheus' text. */
  page(): Promise<MetricsPage>;
}

export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

/** A collector that takes OTLP over gRPC. */
export interface OtlpEndpoint {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** `host:port`, IPv6 in brackets. */
export function endpointText({ host, port }: Pick<OtlpEndpoint, "host" | "port">): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
