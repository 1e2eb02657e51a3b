/**
 * Of an attempt: `connect-refused`, `connect-timeout`, `connect-failed`. Of a client: `unserved` (every backend was
 * tried), `no-backend` (there was none for as long as a client is held), `cut` (open when its replica was dropped or
 * the proxy closed), `reset` (either side ended with a reset).
 */
export type ProxyErrorKind =
  | "connect-refused"
  | "connect-timeout"
  | "connect-failed"
  | "unserved"
  | "no-backend"
  | "cut"
  | "reset";

/** Told as it happens; counts that only grow are read from `stats()` instead. Called on hot paths: no work here. */
export interface ProxyObserver {
  /** A backend answered the connect after `latencyMs`. */
  connected(port: number, latencyMs: number): void;
  /** A client's connection ended after `durationMs`. */
  closed(port: number, durationMs: number): void;
}

export const silentObserver: ProxyObserver = { connected() {}, closed() {} };

export interface ProxyStats {
  readonly connections: number;
  readonly maxConnections: number;
  /** False: at its limit; new clients wait in the kernel's backlog. */
  readonly accepting: boolean;
  readonly ports: readonly PortStats[];
}

export interface PortStats {
  readonly port: number;
  readonly connectionsTotal: number;
  readonly connectionsActive: number;
  /** Clients that are held because there is no backend. */
  readonly held: number;
  readonly bytesFromClients: number;
  readonly bytesFromBackends: number;
  readonly errors: Readonly<Record<ProxyErrorKind, number>>;
  readonly backends: readonly BackendStats[];
}

export interface BackendStats {
  readonly replica: string;
  /** `host:port` of its first choice. */
  readonly address: string;
  /** Gets new connections. */
  readonly inRotation: boolean;
  readonly connectionsTotal: number;
  readonly connectionsActive: number;
  readonly failures: number;
}

export function noErrors(): Record<ProxyErrorKind, number> {
  return {
    "connect-refused": 0,
    "connect-timeout": 0,
    "connect-failed": 0,
    unserved: 0,
    "no-backend": 0,
    cut: 0,
    reset: 0,
  };
}
