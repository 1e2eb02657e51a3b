import type { Command } from "../../src/events.ts";
import { type Family, parseExposition } from "./exposition.ts";
import { queries } from "./packaging.ts";
import { missingFrom, namesIn } from "./promql.ts";
import { refuseSecrets } from "./secrets.ts";
import { instrumentTable, isMeasuredBy } from "./telemetry-readings.ts";

/** What a running agent answers at `/metrics`, read strictly; empty while nothing listens. */
export async function metricsOf(port: number): Promise<ReadonlyMap<string, Family>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => null);
  if (response === null) return new Map();
  if (response.status !== 200) throw new Error(`/metrics answers ${response.status}`);
  const text = await response.text();
  refuseSecrets(text);
  return parseExposition(text);
}

/** All that an agent of this kind measures, by Prometheus' names, sorted. */
export function namesFor(command: Command): string[] {
  const own = [...instrumentTable].filter(([name]) => isMeasuredBy(command, name));
  return own
    .map(([name, { kind }]) => {
      const plain = name.replaceAll(".", "_");
      if (kind === "histogram") return `${plain}_seconds`;
      return kind === "counter" && !plain.endsWith("_total") ? `${plain}_total` : plain;
    })
    .sort();
}

/** What alerts and dashboard name and an agent's page has not, of all that is about this kind of agent alone. */
export async function missingQueries(
  command: Command,
  page: ReadonlyMap<string, Family>,
): Promise<readonly string[]> {
  const own = new Set(namesFor(command));
  const about = (metric: string) => own.has(metric) || own.has(metric.replace(/_(bucket|sum|count)$/, ""));
  const asked = (await queries()).filter(({ expr }) => namesIn(expr).metrics.every(about));
  if (asked.length < 5) throw new Error("hardly any query is about this kind of agent");
  return asked.flatMap(({ where, expr }) => missingFrom(page, expr).map((what) => `${where}: ${what}`));
}
