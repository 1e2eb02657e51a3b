import { startTelemetry, type TelemetryOptions } from "../../src/telemetry/otel.ts";
import { systemClock } from "../../src/util/time.ts";
import type { OtlpReceiver } from "./otlp-receiver.ts";
import { recordingLog } from "./recording.ts";
import { measureAll } from "./telemetry-readings.ts";
import { until } from "./until.ts";

export const down = "Telemetry collector does not take metrics";
export const back = "Telemetry collector takes metrics again";

export interface Changes {
  readonly host?: string;
  readonly tls?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly resource?: TelemetryOptions["resource"];
}

/** An exporter to the port; each instrument has a value. */
export async function exporting(port: number, changes: Changes = {}) {
  const { host = "127.0.0.1", tls = false, resource = { "service.name": "dewy" } } = changes;
  const env = { OTEL_METRIC_EXPORT_INTERVAL: "100", ...changes.env };
  const log = recordingLog();
  const hurry = new AbortController();
  const telemetry = await startTelemetry(
    { otlp: { host, port, tls }, version: "v1.2.3", resource, env },
    { clock: systemClock, log, hurry: hurry.signal },
  );
  measureAll(telemetry.metrics);
  const logged = (message: string, count = 1) =>
    until(message, () => log.records.filter((record) => record.message === message).length >= count);
  const warning = () => log.records.find(({ level }) => level === "warn")?.attributes;
  return { ...telemetry, log, logged, warning, hurry };
}

export const received = (collector: OtlpReceiver, count = 1) =>
  until(`${count} exports`, () => collector.exports.length >= count);
