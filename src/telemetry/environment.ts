import { DewyError } from "../errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What OpenTelemetry's variables say of the export. */
export interface ExportSettings {
  /** `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`: who is measured. */
  readonly resource: Readonly<Record<string, string>>;
  /** `OTEL_EXPORTER_OTLP_HEADERS`, and for metrics alone `OTEL_EXPORTER_OTLP_METRICS_HEADERS`; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** `OTEL_METRIC_EXPORT_INTERVAL`. */
  readonly intervalMs: number;
}

/** The original's; OpenTelemetry's own is a minute. */
const usualIntervalMs = 15_000;
const leastIntervalMs = 100;

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/; `config-invalid` on nonsense. */
export function readExportSettings(env: Environment): ExportSettings {
  const service = env["OTEL_SERVICE_NAME"];
  return {
    resource: {
      ...readPairs(env, "OTEL_RESOURCE_ATTRIBUTES"),
      ...(service ? { "service.name": service } : {}),
    },
    headers: {
      ...readHeaders(env, "OTEL_EXPORTER_OTLP_HEADERS"),
      ...readHeaders(env, "OTEL_EXPORTER_OTLP_METRICS_HEADERS"),
    },
    intervalMs: readInterval(env["OTEL_METRIC_EXPORT_INTERVAL"]),
  };
}

function readHeaders(env: Environment, variable: string): Readonly<Record<string, string>> {
  const headers = Object.entries(readPairs(env, variable));
  headers.forEach(([name, value], index) => {
    // What gRPC takes as metadata (https://grpc.github.io/grpc/core/md_doc_h_t_t_p2.html, "Custom-Metadata").
    if (!/^[0-9a-z_.-]+$/i.test(name) || /-bin$|^grpc-/i.test(name) || !/^[\x20-\x7e]*$/.test(value)) {
      throw invalid(variable, index, "is no header that gRPC can send");
    }
  });
  return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
}

/** `key=value,key=value`, both percent-encoded where they hold commas and the like, as in W3C Baggage. */
function readPairs(env: Environment, variable: string): Readonly<Record<string, string>> {
  const parts = (env[variable] ?? "").split(",").map((part) => part.trim());
  const pairs = parts.flatMap((part, index) => {
    if (part === "") return [];
    const at = part.indexOf("=");
    if (at < 1) throw invalid(variable, index, "is not key=value");
    return [[decode(part.slice(0, at)), decode(part.slice(at + 1))] as const];
    function decode(text: string): string {
      try {
        return decodeURIComponent(text.trim());
      } catch {
        throw invalid(variable, index, "is badly percent-encoded");
      }
    }
  });
  return Object.fromEntries(pairs);
}

function readInterval(text: string | undefined): number {
  if (!text) return usualIntervalMs;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (ms >= leastIntervalMs && ms < 2 ** 31) return ms;
  throw new DewyError("config-invalid", "OTEL_METRIC_EXPORT_INTERVAL is not a number of milliseconds", {
    hint: `write ${leastIntervalMs} or more, for example ${usualIntervalMs}`,
  });
}

/** Names the part by its place: values are secrets. */
function invalid(variable: string, index: number, why: string): DewyError {
  return new DewyError("config-invalid", `${variable}: part ${index + 1} ${why}`, {
    hint: "write key=value,key=value; a comma or a blank within a value as %2C or %20",
  });
}
