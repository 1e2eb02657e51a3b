/**
 * `up-down` and `gauge` both go up and down; the first one may be added up over its labels (OpenTelemetry's
 * UpDownCounter).
 */
export interface Instrument {
  readonly kind: "counter" | "up-down" | "gauge" | "histogram";
  /** As UCUM writes it: `s`, `By`, `{connection}`; empty: a number without one. */
  readonly unit: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** Counts values by size. */
export interface HistogramInstrument extends Instrument {
  readonly kind: "histogram";
  /** Their upper bounds; a last one takes the rest. */
  readonly buckets: readonly number[];
}

const perPort = ["proxy_port"] as const;
const perContainer = ["app", "container", "replica"] as const;

/** OpenTelemetry's own, which the original does not change for connections. */
const usualBuckets = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000] as const;

/** All that is measured. What the original measures too has its names, units, labels and buckets. */
export const instruments = {
  "dewy.proxy.connections.total": counter("{connection}", perPort, "Connections accepted"),
  "dewy.proxy.connections.active": upDown("{connection}", perPort, "Connections open now"),
  "dewy.proxy.connection.duration": histogram(perPort, "From accept to close of a connection", usualBuckets),
  "dewy.proxy.connect.latency": histogram(
    perPort,
    "Time until a backend answered the connect",
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  ),
  "dewy.proxy.bytes.transferred": counter("By", perPort, "Bytes in both directions"),
  "dewy.proxy.errors.total": counter(
    "{error}",
    perPort,
    "Failed connects to backends, and clients for whom there was no backend",
  ),
  "dewy.proxy.backends": upDown("{backend}", perPort, "Backends that get new connections"),
  "dewy.deployments.total": counter("{deployment}", ["command"], "Deploys that succeeded"),
  "dewy.deployment.duration": histogram(
    ["command"],
    "Duration of deploys that succeeded",
    [1, 5, 10, 30, 60, 120, 300, 600],
  ),
  "dewy.deployment.errors.total": counter("{error}", ["command"], "Deploys that failed"),
  "dewy.server.restarts.total": counter(
    "{restart}",
    ["reason"],
    "Restarts of the app, because of a deploy, a signal or a crash",
  ),
  "dewy.healthchecks.total": counter("{check}", [], "Health checks of the app"),
  "dewy.healthchecks.failures.total": counter("{check}", [], "Health checks that failed"),
  "dewy.container.replicas": gauge("{replica}", ["app"], "Containers that run"),
  "dewy.container.desired_replicas": gauge("{replica}", ["app"], "Containers that should run"),
  "dewy.container.restarts": gauge(
    "{restart}",
    perContainer,
    "Restarts of the container by the engine; begins anew with each container",
  ),
  "dewy.container.status": gauge(
    "{container}",
    [...perContainer, "state"],
    "1 for the state the engine reports, 0 for the others",
  ),
  "dewy.container.last_terminated.exit_code": gauge(
    "",
    perContainer,
    "Exit code of a replica's last container that ended by itself, for an hour or until the next deploy",
  ),
  "dewy.container.oom_killed": gauge(
    "",
    perContainer,
    "Whether that container ran out of memory (1) or not (0)",
  ),
  "dewy.container.started.timestamp": gauge("s", perContainer, "Unix time of the container's start"),
  "dewy.container.info": gauge(
    "",
    [...perContainer, "image", "version"],
    "1 for each container, with its image and version",
  ),
  "dewy.build.info": gauge("", ["version", "commit", "command"], "1, with the agent's own version"),
  "dewy.release.info": gauge("", ["tag", "digest"], "1 for the release that is deployed"),
  "dewy.poll.total": counter(
    "{poll}",
    ["result"],
    "Checks by success or failure; an answer from before the registry failed is a failure",
  ),
  "dewy.poll.consecutive_failures": gauge("{poll}", [], "Checks that failed since the last success"),
  "dewy.poll.interval": gauge("s", [], "Time from one question to the registry to the next"),
  "dewy.poll.last_success.timestamp": gauge("s", [], "Unix time of the registry's last answer"),
  "dewy.quarantined": gauge(
    "{release}",
    [],
    "1 while the newest release is set aside because it failed, else 0",
  ),
  "dewy.supervisor.state": gauge("", ["state"], "1 for the state of the app, 0 for the others"),
} as const satisfies Readonly<Record<string, Instrument | HistogramInstrument>>;

export type InstrumentName = keyof typeof instruments;
export type HistogramName = {
  [N in InstrumentName]: (typeof instruments)[N]["kind"] extends "histogram" ? N : never;
}[InstrumentName];
/** Read from what the agent knows at the moment of a collection. */
export type ObservedName = Exclude<InstrumentName, HistogramName>;
export type LabelsOf<N extends InstrumentName> = Readonly<
  Record<(typeof instruments)[N]["labels"][number], string | number>
>;

function counter<const L extends readonly string[]>(unit: string, labels: L, help: string) {
  return { kind: "counter", unit, labels, help } as const;
}

function upDown<const L extends readonly string[]>(unit: string, labels: L, help: string) {
  return { kind: "up-down", unit, labels, help } as const;
}

function gauge<const L extends readonly string[]>(unit: string, labels: L, help: string) {
  return { kind: "gauge", unit, labels, help } as const;
}

/** Of seconds. */
function histogram<const L extends readonly string[]>(labels: L, help: string, buckets: readonly number[]) {
  return { kind: "histogram", unit: "s", labels, help, buckets } as const;
}
