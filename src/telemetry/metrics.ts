import type { HistogramName, LabelsOf, ObservedName } from "./instruments.ts";

/**
 * Where measurements go. Most are only looked up when somebody collects them, so that counting costs what it costs
 * without telemetry. The instruments' names, units and labels are in instruments.ts.
 */
export interface Metrics {
  /**
   * Adds a source of readings, called at each collection: it looks at memory only. A series that it no longer names is
   * gone from the next collection on.
   */
  observe(read: () => readonly Reading[]): void;
  /** One series of a histogram; the function takes a value in the instrument's unit, and may be called on hot paths. */
  histogram<N extends HistogramName>(name: N, labels: LabelsOf<N>): (value: number) => void;
}

/** One series and its value now: whole numbers. */
export type Reading = {
  [N in ObservedName]: { readonly name: N; readonly labels: LabelsOf<N>; readonly value: number };
}[ObservedName];

/** Telemetry is off. */
export const noMetrics: Metrics = {
  observe() {},
  histogram: () => () => undefined,
};
