import { type HrTime, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type MetricData,
  type MetricProducer,
  type ScopeMetrics,
} from "@opentelemetry/sdk-metrics";
import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import { Buckets } from "./buckets.ts";
import { type HistogramName, instruments, type LabelsOf, type ObservedName } from "./instruments.ts";
import type { Metrics, Reading } from "./metrics.ts";

/**
 * All series as OpenTelemetry's data, made anew for each collection. Not by the SDK's own instruments: they go on
 * exporting every series that was ever seen, put new ones into one after 2,000 of them (an agent's containers and
 * tags change for months), and keep each collection for a reader that never comes, as `/metrics` may be.
 */
export class CollectedMetrics implements Metrics, MetricProducer {
  readonly #sources: (() => readonly Reading[])[] = [];
  readonly #histograms = new Map<HistogramName, Map<string, Buckets>>();
  readonly #startTime: HrTime;
  #complaint: string | null = null;

  constructor(
    private readonly scope: ScopeMetrics["scope"],
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#startTime = hrTime(deps.clock.now());
  }

  observe(read: () => readonly Reading[]): void {
    this.#sources.push(read);
  }

  histogram<N extends HistogramName>(name: N, labels: LabelsOf<N>): (value: number) => void {
    const series = this.#histograms.get(name) ?? new Map<string, Buckets>();
    this.#histograms.set(name, series);
    const key = keyOf(labels);
    const buckets = series.get(key) ?? new Buckets(labels, instruments[name].buckets);
    series.set(key, buckets);
    return (value) => buckets.add(value);
  }

  async collect(): Promise<CollectionResult> {
    const endTime = hrTime(this.deps.clock.now());
    const metrics = [...this.#readings(endTime), ...this.#distributions(endTime)];
    const scopeMetrics = [{ scope: this.scope, metrics }];
    return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] };
  }

  #readings(endTime: HrTime): MetricData[] {
    const startTime = this.#startTime;
    const byName = new Map<ObservedName, Map<string, DataPoint<number>>>();
    for (const { name, labels, value } of this.#sources.flatMap((read) => this.#readingsOf(read))) {
      const points = byName.get(name) ?? new Map<string, DataPoint<number>>();
      byName.set(name, points);
      // Of two with the same labels one stays: a scraper throws away all of a page that names a series twice.
      points.set(keyOf(labels), { startTime, endTime, attributes: labels, value });
    }
    return [...byName].map(([name, points]) => numbersOf(name, [...points.values()]));
  }

  #distributions(endTime: HrTime): MetricData[] {
    const startTime = this.#startTime;
    return [...this.#histograms].map(([name, series]) => {
      const dataPoints = [...series.values()].map((buckets): DataPoint<Histogram> => {
        return { startTime, endTime, attributes: buckets.labels, value: buckets.snapshot() };
      });
      const valueType = ValueType.DOUBLE;
      return { ...describe(name, valueType), dataPointType: DataPointType.HISTOGRAM, dataPoints };
    });
  }

  /** A source that fails is no reason to lose the others. */
  #readingsOf(read: () => readonly Reading[]): readonly Reading[] {
    try {
      return read();
    } catch (error) {
      const complaint = messageOf(error);
      if (complaint !== this.#complaint) this.deps.log.warn("Metrics not read", { error: complaint });
      this.#complaint = complaint;
      return [];
    }
  }
}

function numbersOf(name: ObservedName, dataPoints: DataPoint<number>[]): MetricData {
  const data = { ...describe(name, ValueType.INT), dataPoints };
  const { kind } = instruments[name];
  return kind === "gauge"
    ? { ...data, dataPointType: DataPointType.GAUGE }
    : { ...data, dataPointType: DataPointType.SUM, isMonotonic: kind === "counter" };
}

function describe(name: ObservedName | HistogramName, valueType: ValueType) {
  const { unit, help } = instruments[name];
  return {
    descriptor: { name, description: help, unit, valueType },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
}

/** The same for the same labels, however they were written down. */
function keyOf(labels: Readonly<Record<string, string | number>>): string {
  return JSON.stringify(Object.entries(labels).sort());
}

function hrTime(date: Date): HrTime {
  const ms = date.getTime();
  return [Math.floor(ms / 1000), (ms % 1000) * 1e6];
}
