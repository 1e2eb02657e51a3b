import { archives, deploying, type FlagSpec } from "./spec.ts";

export const telemetryFlags = [
  {
    name: "telemetry",
    value: null,
    commands: deploying,
    group: "Telemetry",
    help: "Measure, for Prometheus at /metrics of the admin API",
  },
  {
    name: "otlp-endpoint",
    value: "HOST:PORT",
    commands: deploying,
    group: "Telemetry",
    help: "Also send what is measured to a collector by OTLP over gRPC; turns --telemetry on",
  },
  {
    name: "otlp-insecure",
    value: null,
    commands: deploying,
    group: "Telemetry",
    help: "The collector has no TLS",
  },
  {
    name: "admin-port",
    value: "PORT",
    commands: archives,
    defaultText: "17539",
    group: "Telemetry",
    help: "Where /metrics and the read-only admin API listen on 127.0.0.1; taken: the next of ten",
  },
] as const satisfies readonly FlagSpec[];
