import type { InstrumentType, PushMetricExporter, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";

type ExportResult = Parameters<Parameters<PushMetricExporter["export"]>[1]>[0];

/** Of @opentelemetry/core's ExportResultCode. */
const success = 0;

interface Peer {
  /** `host:port` */
  readonly endpoint: string;
  /** false: with --otlp-insecure. */
  readonly tls: boolean;
  /** Their values are secrets, which a collector may quote. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The exporter, with a record in the log when the collector gets out of reach and when it is back. */
export class Collector implements PushMetricExporter {
  #isDown = false;

  constructor(
    private readonly exporter: Required<PushMetricExporter>,
    private readonly peer: Peer,
    /** What kept the last connection from being trusted; null: nothing did. */
    private readonly tlsFailure: () => string | null,
    private readonly log: Log,
  ) {}

  /** The last export failed. */
  get isDown(): boolean {
    return this.#isDown;
  }

  export(metrics: ResourceMetrics, done: (result: ExportResult) => void): void {
    this.exporter.export(metrics, (result) => {
      if (result.code === success) this.#answered();
      else this.#failed(result.error);
      done(result);
    });
  }

  forceFlush(): Promise<void> {
    return this.exporter.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.exporter.shutdown();
  }

  selectAggregation(type: InstrumentType) {
    return this.exporter.selectAggregation(type);
  }

  selectAggregationTemporality(type: InstrumentType) {
    return this.exporter.selectAggregationTemporality(type);
  }

  #answered(): void {
    if (this.#isDown)
      this.log.info("Telemetry collector takes metrics again", { endpoint: this.peer.endpoint });
    this.#isDown = false;
  }

  /** However long it lasts, it is one record: the app does not depend on it. */
  #failed(error: unknown): void {
    if (this.#isDown) return;
    this.#isDown = true;
    const tlsFailure = this.tlsFailure();
    this.log.warn("Telemetry collector does not take metrics", {
      endpoint: this.peer.endpoint,
      error:
        tlsFailure === null
          ? this.#withoutSecrets(messageOf(error))
          : `no trusted TLS connection (${tlsFailure})`,
      hint: hintFor(error, tlsFailure, this.peer.tls),
    });
  }

  #withoutSecrets(text: string): string {
    const values = Object.values(this.peer.headers).flatMap((value) => [
      value,
      value.split(" ").at(-1) ?? "",
    ]);
    return values
      .filter((value) => value !== "")
      .reduce((clean, value) => clean.replaceAll(value, "***"), text)
      .slice(0, 300);
  }
}

/** By gRPC's status codes (https://grpc.io/docs/guides/status-codes/). */
function hintFor(error: unknown, tlsFailure: string | null, tls: boolean): string {
  if (tlsFailure !== null) {
    return "name the authority's certificate in OTEL_EXPORTER_OTLP_CERTIFICATE or SSL_CERT_FILE, or write --otlp-insecure for a collector without TLS";
  }
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : null;
  // UNAUTHENTICATED and PERMISSION_DENIED.
  if (code === 16 || code === 7) return "check OTEL_EXPORTER_OTLP_HEADERS";
  // UNIMPLEMENTED.
  if (code === 12) {
    return "what listens there takes no metrics by OTLP over gRPC: check the port (4317 is usual) and the collector's pipeline for metrics";
  }
  // RESOURCE_EXHAUSTED.
  if (code === 8) {
    return "the collector takes no more, or not as much at once: look at its limits, or make OTEL_METRIC_EXPORT_INTERVAL longer";
  }
  const look = "look whether the collector listens there";
  const after = "what is measured is sent as soon as it answers";
  return tls ? `${look}; ${after}` : `${look}, and leave --otlp-insecure out if it speaks TLS; ${after}`;
}
