import { Metadata } from "@grpc/grpc-js";

// The package's ES modules look for gRPC on the disk when they first send: in a compiled binary there is none.
import otlpGrpc = require("@opentelemetry/exporter-metrics-otlp-grpc");

import { type MetricProducer, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import type { DialFailure } from "../grpc/dial-failure.ts";
import { Dialer } from "../grpc/dialer.ts";
import { trustingContext } from "../grpc/roots.ts";
import type { Log } from "../log.ts";
import { type CertificateFile, trustingOnly } from "./authorities.ts";
import { Collector } from "./collector.ts";
import { endpointText, type OtlpEndpoint } from "./telemetry.ts";

export interface OtlpOptions extends OtlpEndpoint {
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  /** One collector that takes no answer at all costs each collection that long. */
  readonly timeoutMs: number;
  /** Of the only authorities to trust; null: those that dewy trusts everywhere. */
  readonly certificate: CertificateFile | null;
  readonly sslCertFile: string | undefined;
  /** `dewy/<version>` */
  readonly userAgent: string;
}

const handshakeMs = 10_000;

/** Sends what is measured at each interval; `close` breaks what is under way. */
export interface OtlpExport {
  readonly reader: PeriodicExportingMetricReader;
  /** The last export failed. */
  readonly isDown: boolean;
  close(): void;
}

export function otlpExport(options: OtlpOptions, observed: MetricProducer, log: Log): OtlpExport {
  const { host, tls, headers, intervalMs, timeoutMs, certificate, sslCertFile, userAgent } = options;
  nameProxy(process.env);
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const dialer = new Dialer({
    // Read anew for each connection, so that a renewed authority needs no restart.
    tls: tls
      ? {
          context:
            certificate === null ? () => trustingContext(null, sslCertFile) : trustingOnly(certificate),
          serverName: host,
        }
      : null,
    // The library opens its own, by the variables below.
    tunnel: null,
    handshakeMs,
  });
  const exporter = new otlpGrpc.OTLPMetricExporter({
    // The library drops a port that is its scheme's usual one and then takes 443, so `http:` would lose port 80. It
    // takes nothing else from the scheme where it is given credentials.
    url: `https://${endpointText(options)}`,
    credentials: dialer,
    metadata,
    userAgent,
    timeoutMillis: timeoutMs,
  });
  const peer = { endpoint: endpointText(options), tls, headers };
  const collector = new Collector(exporter, peer, () => tlsFailureOf(dialer.failure), log);
  const reader = new PeriodicExportingMetricReader({
    exporter: collector,
    exportIntervalMillis: intervalMs,
    // It takes no longer one than its interval; a slow answer counts all the same, the exporter's deadline is its own.
    exportTimeoutMillis: Math.min(timeoutMs, intervalMs),
    metricProducers: [observed],
  });
  return {
    reader,
    get isDown() {
      return collector.isDown;
    },
    close: () => dialer.close(),
  };
}

function tlsFailureOf(failure: DialFailure | null): string | null {
  if (failure?.kind !== "tls") return null;
  if (failure.code === "NO_H2") return "no HTTP/2";
  return failure.code === "NO_ANSWER" ? "no answer to the handshake" : failure.code;
}

/**
 * The library reads proxies from lower-case variables of the process only. These two are gRPC's alone: neither dewy's
 * other clients nor anything but gRPC in the apps and hooks that inherit them is sent through a proxy by them.
 */
function nameProxy(env: Record<string, string | undefined>): void {
  const proxy = env["HTTPS_PROXY"] || env["https_proxy"];
  const exempt = env["NO_PROXY"] || env["no_proxy"];
  if (proxy && !env["grpc_proxy"]) env["grpc_proxy"] = proxy;
  if (exempt && !env["no_grpc_proxy"]) env["no_grpc_proxy"] = exempt;
}
