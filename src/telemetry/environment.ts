import { DewyError } from "../errors.ts";
import type { CertificateFile } from "./authorities.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What OpenTelemetry's variables say of the export. */
export interface ExportSettings {
  /** `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`: who is measured. */
  readonly resource: Readonly<Record<string, string>>;
  /** `OTEL_EXPORTER_OTLP_HEADERS`, and for metrics alone `OTEL_EXPORTER_OTLP_METRICS_HEADERS`; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** `OTEL_METRIC_EXPORT_INTERVAL`. */
  readonly intervalMs: number;
  /** `OTEL_EXPORTER_OTLP_METRICS_TIMEOUT`, or `OTEL_EXPORTER_OTLP_TIMEOUT`: how long a collector may take. */
  readonly timeoutMs: number;
  /** `OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE`, or `OTEL_EXPORTER_OTLP_CERTIFICATE`; null: neither is set. */
  readonly certificate: CertificateFile | null;
}

/** The original's; OpenTelemetry's own is a minute. */
const usualIntervalMs = 15_000;
/** OpenTelemetry's own. */
const usualTimeoutMs = 10_000;
const leastMs = 100;

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
    intervalMs: readMs(env, ["OTEL_METRIC_EXPORT_INTERVAL"], usualIntervalMs),
    timeoutMs: readMs(env, namesOf("TIMEOUT"), usualTimeoutMs),
    certificate: readCertificate(env),
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

/** What is said of metrics alone goes before what is said of all. */
function namesOf(setting: string): readonly string[] {
  return [`OTEL_EXPORTER_OTLP_METRICS_${setting}`, `OTEL_EXPORTER_OTLP_${setting}`];
}

function readCertificate(env: Environment): CertificateFile | null {
  const [found] = namesOf("CERTIFICATE").flatMap((variable) => {
    const path = env[variable];
    return path ? [{ variable, path }] : [];
  });
  return found ?? null;
}

function readMs(env: Environment, variables: readonly string[], usualMs: number): number {
  const variable = variables.find((name) => env[name]);
  const text = variable === undefined ? undefined : env[variable];
  if (!text) return usualMs;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (ms >= leastMs && ms < 2 ** 31) return ms;
  throw new DewyError("config-invalid", `${variable} is not a number of milliseconds`, {
    hint: `write ${leastMs} or more, for example ${usualMs}`,
  });
}

/** Names the part by its place: values are secrets. */
function invalid(variable: string, index: number, why: string): DewyError {
  return new DewyError("config-invalid", `${variable}: part ${index + 1} ${why}`, {
    hint: "write key=value,key=value; a comma or a blank within a value as %2C or %20",
  });
}
