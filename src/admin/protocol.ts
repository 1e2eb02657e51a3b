/**
 * What the read-only admin API says. The names on the wire are those of the Go original, whose clients go on
 * working; the fields it does not have come after its own.
 */

/** Where the first agent of a host listens; the next ones take the ports that follow. */
export const firstAdminPort = 17539;
export const adminPortTries = 10;

export function adminPorts(first: number = firstAdminPort, tries: number = adminPortTries): number[] {
  return Array.from({ length: tries }, (_, index) => first + index).filter((port) => port <= 65_535);
}

/**
 * What dewy does with a replica: `starting` has not proved itself yet, `serving` gets new connections, `sick` was
 * taken out by a health check, `draining` finishes the connections it has, `stopped` does not run.
 */
export type ReplicaState = "starting" | "serving" | "sick" | "draining" | "stopped";

export interface ContainerView {
  readonly id: string;
  readonly name: string;
  /** As it was named when the container was created. */
  readonly image: string;
  /** The engine's word. */
  readonly status: string;
  /** The host address of the first proxied port, `127.0.0.1:49152`; null: it has none. */
  readonly address: string | null;
  readonly startedAt: Date | null;
  readonly deployedAt: Date | null;
  /** All of them are shown; its environment is not. */
  readonly labels: Readonly<Record<string, string>>;
  readonly replica: number | null;
  readonly version: string | null;
  readonly state: ReplicaState;
  /** What its last check saw. */
  readonly seen: string;
  /** Open ones through the proxy. */
  readonly connections: number;
  /** The engine's HEALTHCHECK; `none`: the image has none. */
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
}

export interface StatusView {
  readonly name: string;
  readonly command: "server" | "assets" | "container";
  /** null: nothing is deployed. */
  readonly currentVersion: string | null;
  /** Replicas that get new connections, summed over the proxied ports. */
  readonly proxyBackends: number;
  readonly isRunning: boolean;
  /** The working directory. */
  readonly root: string;
  readonly pid: number;
  /** `--replicas`; null: not container mode. */
  readonly desiredReplicas: number | null;
  /** What keeps the app from being as the operator wants it; null: nothing that is known. */
  readonly trouble: string | null;
}

/** A container as JSON. Times are RFC 3339; what the original does not say is null in what its agents answer. */
export interface WireContainer {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly status: string;
  /** Empty: none. */
  readonly ip_port: string;
  readonly started_at: string | null;
  readonly deployed_at: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly replica: number | null;
  readonly version: string | null;
  readonly state: string | null;
  readonly seen: string | null;
  readonly connections: number | null;
  readonly health: string | null;
}

/** The status as JSON. */
export interface WireStatus {
  readonly name: string;
  readonly command: StatusView["command"];
  /** Empty: nothing is deployed. */
  readonly current_version: string;
  readonly proxy_backends: number;
  readonly is_running: boolean;
  readonly root: string;
  readonly pid: number;
  readonly desired_replicas: number | null;
  readonly trouble: string | null;
}

/** In UTF-16 units. What programs print may end up in a reason: neither side has more of it than this. */
export const maxReasonLength = 2000;

/** The answer to `GET /api/containers`. */
export function containersAnswer(views: readonly ContainerView[]): { readonly containers: WireContainer[] } {
  return {
    containers: views.map((view) => ({
      id: view.id,
      name: view.name,
      image: view.image,
      status: view.status,
      ip_port: view.address ?? "",
      started_at: view.startedAt?.toISOString() ?? null,
      deployed_at: view.deployedAt?.toISOString() ?? null,
      labels: view.labels,
      replica: view.replica,
      version: view.version,
      state: view.state,
      seen: view.seen.slice(0, maxReasonLength),
      connections: view.connections,
      health: view.health,
    })),
  };
}

/** The answer to `GET /api/status`. */
export function statusAnswer(view: StatusView): WireStatus {
  return {
    name: view.name,
    command: view.command,
    current_version: view.currentVersion ?? "",
    proxy_backends: view.proxyBackends,
    is_running: view.isRunning,
    root: view.root,
    pid: view.pid,
    desired_replicas: view.desiredReplicas,
    trouble: view.trouble?.slice(0, maxReasonLength) ?? null,
  };
}
