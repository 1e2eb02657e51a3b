import type { Command } from "../../src/events.ts";
import {
  type HistogramName,
  type Instrument,
  type InstrumentName,
  instruments,
} from "../../src/telemetry/instruments.ts";
import type { Metrics, Reading } from "../../src/telemetry/metrics.ts";

/** The table without the types of each entry. */
export const instrumentTable: ReadonlyMap<string, Instrument> = new Map(Object.entries(instruments));

/** What only one kind of agent has. */
const own: readonly (readonly [prefix: RegExp, Command])[] = [
  [/^dewy\.(proxy|healthchecks|container)\./, "container"],
  [/^dewy\.(server|supervisor)\./, "server"],
];

export function isMeasuredBy(command: Command, name: string): boolean {
  return own.every(([prefix, only]) => !prefix.test(name) || only === command);
}

export const observedNames = namesOf((kind) => kind !== "histogram");
export const histogramNames = namesOf((kind) => kind === "histogram") as HistogramName[];

/** A value for each instrument, with all its labels. */
export function measureAll(metrics: Metrics): void {
  metrics.observe(() => observedNames.map((name) => ({ name, labels: labelsOf(name), value: 3 }) as Reading));
  for (const name of histogramNames) metrics.histogram(name, labelsOf(name) as never)(0.03);
}

function labelsOf(name: InstrumentName): Readonly<Record<string, string>> {
  return Object.fromEntries(instruments[name].labels.map((label) => [label, `a ${label}`]));
}

function namesOf(isWanted: (kind: string) => boolean): InstrumentName[] {
  const names = Object.keys(instruments) as InstrumentName[];
  return names.filter((name) => isWanted(instruments[name].kind));
}
