import { isIPv4, isIPv6 } from "../util/ip.ts";
import type { Settings } from "./load.ts";
import { invalid, type Problem } from "./problem.ts";

export interface TelemetryConfig {
  /** The collector to send to; null: none. */
  readonly otlp: (OtlpAddress & { readonly tls: boolean }) | null;
}

export interface OtlpAddress {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** null: off. An endpoint alone turns it on. */
export function toTelemetry(
  on: boolean,
  endpoint: OtlpAddress | undefined,
  tls: boolean,
): TelemetryConfig | null {
  if (!on && endpoint === undefined) return null;
  return { otlp: endpoint === undefined ? null : { ...endpoint, tls } };
}

/** `host:port`, IPv6 in brackets. */
export function parseOtlpAddress(value: string): OtlpAddress {
  const [, host = "", digits = ""] = /^(.+):(\d{1,5})$/.exec(value) ?? [];
  const port = Number(digits);
  const bare = /^\[(.*)\]$/.exec(host)?.[1];
  const isName = /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$/.test(host);
  const looksNumeric = /^[\d.]+$/.test(host);
  const fits = bare === undefined ? isName && (!looksNumeric || isIPv4(host)) : isIPv6(bare);
  if (fits && port >= 1 && port <= 65_535) return { host: bare ?? host, port };
  throw invalid(`"${shown(value)}" is not host:port`, "write collector:4317 or [::1]:4317, without a scheme");
}

/** Without what may be a password. */
function shown(value: string): string {
  return value.replace(/^(.*\/\/)?.*@/s, "$1***@").replace(/[?#].*/s, "?…");
}

/** What has no effect is no mistake to be passed over in silence. */
export function idleTelemetryFlags(command: string, settings: Settings): Problem[] {
  const hasEndpoint = settings["otlp-endpoint"] !== undefined;
  const problems: Problem[] = [];
  if (settings["otlp-insecure"] === true && !hasEndpoint) {
    problems.push({
      message: "--otlp-insecure is about a collector, and none is named",
      hint: "name it with --otlp-endpoint host:port",
      about: "otlp-insecure",
    });
  }
  const hasAdmin =
    command === "container" || settings["proxy"] === true || hasEndpoint || settings["telemetry"] === true;
  if (!hasAdmin && settings["admin-port"] !== undefined) {
    problems.push({
      message: `--admin-port: ${command} has no admin API without telemetry`,
      hint: "add --telemetry, or leave --admin-port out",
      about: "admin-port",
    });
  }
  return problems;
}
