import type { Address } from "../util/address.ts";
import type { Deployment } from "./deployment.ts";
import type { Instance } from "./engine.ts";
import { readLabels } from "./labels.ts";
import { describeEnd, type Replica } from "./replica.ts";

export type ReplicaSetStatus =
  | { readonly kind: "idle" }
  | {
      readonly kind: "serving";
      /** The deployment's time, as releases on a host are named: `20240115T103045Z`. */
      readonly release: string;
      readonly version: string;
      /** There are several processes, and none is ours. */
      readonly pid: null;
      /** Those that are well. */
      readonly inRotation: number;
      readonly replicas: number;
    }
  | { readonly kind: "starting"; readonly pid: null }
  | { readonly kind: "down"; readonly reason: string };

/** One copy, for people and the admin API. */
export interface ReplicaStatus {
  readonly id: string;
  readonly name: string;
  /** What it was made from, as that was named then. */
  readonly image: string;
  /** The engine's word. */
  readonly status: Instance["status"];
  readonly replica: number;
  readonly version: string;
  /**
   * `starting` has not proved itself yet, `serving` passes its checks, `sick` does not, `draining` gets no new
   * connections, `stopped` does not run.
   */
  readonly state: "starting" | "serving" | "sick" | "draining" | "stopped";
  /** What its last check saw. */
  readonly seen: string;
  readonly inRotation: boolean;
  /** Open ones through the proxy. */
  readonly connections: number;
  /** On this host, by proxy port in the operator's order; null: it has none. */
  readonly addresses: readonly { readonly proxyPort: number; readonly address: Address | null }[];
  /** By the engine, since it was created. */
  readonly restarts: number;
  /** The engine's HEALTHCHECK. */
  readonly health: Instance["health"];
  readonly startedAt: Date | null;
  readonly deployedAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

export function setStatus(set: {
  readonly deployment: Deployment | null;
  readonly inRotation: number;
  readonly replicas: number;
  readonly isChanging: boolean;
  /** Why there are too few; null: nothing was lost. */
  readonly reason: string | null;
}): ReplicaSetStatus {
  const { deployment, inRotation, replicas, isChanging, reason } = set;
  if (deployment === null) return isChanging ? { kind: "starting", pid: null } : { kind: "idle" };
  if (inRotation > 0) {
    const { version, deployedAt } = deployment;
    const release = `${deployedAt.toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;
    return { kind: "serving", release, version, pid: null, inRotation, replicas };
  }
  return reason === null ? { kind: "starting", pid: null } : { kind: "down", reason };
}

/** What is wrong with the first of these that does not run, or is ill; null: nothing. */
export function lossOf(replicas: readonly Replica[]): string | null {
  for (const { isRunning, instance, health } of replicas) {
    if (!isRunning) return `it ${describeEnd(instance)}`;
    if (health.kind === "sick") return health.seen;
  }
  return null;
}

export function replicaStatus(replica: Replica, inRotation: boolean, connections: number): ReplicaStatus {
  const { id, name, number, deployment, instance, health } = replica;
  const labels = instance?.labels ?? {};
  return {
    id,
    name,
    image: instance?.image ?? deployment.image.reference,
    status: instance?.status ?? "removing",
    replica: number,
    version: deployment.version,
    state: stateOf(replica),
    seen: health.seen,
    inRotation,
    connections,
    addresses: deployment.ports.map(({ proxyPort }) => ({
      proxyPort,
      address: replica.addresses.get(proxyPort)?.[0] ?? null,
    })),
    restarts: instance?.restartCount ?? 0,
    health: instance?.health ?? "none",
    startedAt: instance?.startedAt ?? null,
    deployedAt: readLabels(labels)?.deployedAt ?? deployment.deployedAt,
    labels,
  };
}

function stateOf({ phase, health, isRunning }: Replica): ReplicaStatus["state"] {
  if (phase === "starting") return "starting";
  if (!isRunning) return "stopped";
  if (phase !== "serving") return "draining";
  if (health.kind === "sick") return "sick";
  return health.kind === "well" ? "serving" : "starting";
}
