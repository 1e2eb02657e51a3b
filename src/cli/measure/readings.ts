import type { State } from "../../agent/state.ts";
import type { PortStats, ProxyErrorKind, ProxyStats } from "../../proxy/observer.ts";
import type { ReplicaSet } from "../../replicas/replica-set.ts";
import type { ReplicaStatus } from "../../replicas/status.ts";
import type { Supervisor, SupervisorState } from "../../supervisor/supervisor.ts";
import type { Reading } from "../../telemetry/metrics.ts";

/** The tag of the newest release; null: there is none; undefined: the registry has not answered yet. */
export type Offered = string | null | undefined;

/**
 * What has been deployed here, and whether what is newest was set aside. Older ones that were have been replaced: they
 * concern nobody any more.
 */
export function releaseReadings({ current, quarantine }: State, offered: Offered): Reading[] {
  // Until the registry answers, what was set aside is taken for the newest: a restart mends nothing.
  const isSetAside = quarantine.some(({ tag }) => offered === undefined || tag === offered);
  const readings: Reading[] = [{ name: "dewy.quarantined", labels: {}, value: Number(isSetAside) }];
  if (current === null) return readings;
  const { tag, digest } = current;
  return [...readings, { name: "dewy.release.info", labels: { tag, digest: digest ?? "" }, value: 1 }];
}

const supervisorStates: readonly SupervisorState["kind"][] = [
  "stopped",
  "starting",
  "running",
  "reloading",
  "backoff",
];

export function supervisorReadings({
  state,
  restarts,
  checks,
}: Pick<Supervisor, "state" | "restarts" | "checks">): Reading[] {
  return [
    ...(checks === null ? [] : checkReadings(checks.checks, checks.failures)),
    ...supervisorStates.map(
      (kind): Reading => ({
        name: "dewy.supervisor.state",
        labels: { state: kind },
        value: Number(kind === state.kind),
      }),
    ),
    ...Object.entries(restarts).map(
      ([reason, value]): Reading => ({ name: "dewy.server.restarts.total", labels: { reason }, value }),
    ),
  ];
}

export function proxyReadings({ ports }: ProxyStats): Reading[] {
  return ports.flatMap((stats): Reading[] => {
    const labels = { proxy_port: stats.port };
    return [
      { name: "dewy.proxy.connections.total", labels, value: stats.connectionsTotal },
      { name: "dewy.proxy.connections.active", labels, value: stats.connectionsActive },
      {
        name: "dewy.proxy.bytes.transferred",
        labels,
        value: stats.bytesFromClients + stats.bytesFromBackends,
      },
      { name: "dewy.proxy.errors.total", labels, value: errorsOf(stats) },
      {
        name: "dewy.proxy.backends",
        labels,
        value: stats.backends.filter(({ inRotation }) => inRotation).length,
      },
    ];
  });
}

/**
 * As the original counts them. Nothing failed where either side reset a connection or a replica was dropped, and
 * every attempt on behalf of an unserved client has been counted.
 */
const failures: readonly ProxyErrorKind[] = [
  "connect-refused",
  "connect-timeout",
  "connect-failed",
  "no-backend",
];

function errorsOf({ errors }: PortStats): number {
  return failures.reduce((sum, kind) => sum + errors[kind], 0);
}

/** The original's; what is being removed is in none of them. */
const containerStates = ["created", "running", "paused", "restarting", "exited", "dead"] as const;

export interface AppContainers {
  readonly app: string;
  readonly desired: number;
  readonly replicas: readonly ReplicaStatus[];
  readonly tally: ReplicaSet["tally"];
}

function checkReadings(total: number, failures: number): Reading[] {
  return [
    { name: "dewy.healthchecks.total", labels: {}, value: total },
    { name: "dewy.healthchecks.failures.total", labels: {}, value: failures },
  ];
}

export function containerReadings({ app, desired, replicas, tally }: AppContainers): Reading[] {
  const { checks, endings } = tally;
  const running = replicas.filter(({ status }) => status === "running").length;
  return [
    ...checkReadings(checks.total, checks.failures),
    { name: "dewy.container.replicas", labels: { app }, value: running },
    { name: "dewy.container.desired_replicas", labels: { app }, value: desired },
    ...replicas.flatMap((replica) => readingsOf(app, replica)),
    ...endings.flatMap(({ name: container, replica, exitCode, oomKilled }): Reading[] => {
      const labels = { app, container, replica: `${replica}` };
      return [
        { name: "dewy.container.last_terminated.exit_code", labels, value: exitCode },
        { name: "dewy.container.oom_killed", labels, value: Number(oomKilled) },
      ];
    }),
  ];
}

function readingsOf(app: string, status: ReplicaStatus): Reading[] {
  const { name: container, image, version, startedAt, restarts } = status;
  const labels = { app, container, replica: `${status.replica}` };
  return [
    { name: "dewy.container.info", labels: { ...labels, image, version }, value: 1 },
    { name: "dewy.container.restarts", labels, value: restarts },
    ...containerStates.map(
      (state): Reading => ({
        name: "dewy.container.status",
        labels: { ...labels, state },
        value: Number(state === status.status),
      }),
    ),
    ...(startedAt === null ? [] : [startOf(labels, startedAt)]),
  ];
}

function startOf(labels: { app: string; container: string; replica: string }, startedAt: Date): Reading {
  return { name: "dewy.container.started.timestamp", labels, value: unixTime(startedAt) };
}

export function unixTime(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
