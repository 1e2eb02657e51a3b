import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import {
  DataPointType,
  type MetricData,
  type MetricProducer,
  MetricReader,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";

/** The text format's version that every scraper reads: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const contentType = "text/plain; version=0.0.4; charset=utf-8";

/** Collects when it is asked to, and writes Prometheus' text. */
export class ScrapeReader extends MetricReader {
  readonly #serializer = new PrometheusSerializer(undefined, false, undefined, true, true);

  constructor(observed: MetricProducer) {
    super({ metricProducers: [observed] });
  }

  async page(): Promise<string> {
    const { resourceMetrics } = await this.collect();
    return this.#serializer.serialize(forPrometheus(resourceMetrics));
  }

  protected override async onShutdown(): Promise<void> {}

  protected override async onForceFlush(): Promise<void> {}
}

/**
 * Names as the original's users know them: only histograms carry their unit. The serializer would write units as
 * `# UNIT`, which this format does not have.
 */
function forPrometheus({ resource, scopeMetrics }: ResourceMetrics): ResourceMetrics {
  return {
    resource,
    scopeMetrics: scopeMetrics.map(({ scope, metrics }) => ({
      scope,
      metrics: metrics.filter(({ dataPoints }) => dataPoints.length > 0).map(renamed),
    })),
  };
}

function renamed(data: MetricData): MetricData {
  const { descriptor, dataPointType } = data;
  const suffix = dataPointType === DataPointType.HISTOGRAM && descriptor.unit === "s" ? ".seconds" : "";
  return { ...data, descriptor: { ...descriptor, name: `${descriptor.name}${suffix}`, unit: "" } };
}
