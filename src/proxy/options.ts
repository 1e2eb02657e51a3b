import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import type { ProxyObserver } from "./observer.ts";

export interface ProxyListen {
  /** A literal address; null: all, of IPv4 and IPv6. */
  readonly host: string | null;
  readonly port: number;
  /** A socket that listens there already, the proxy's from now on; left out: one is made. */
  readonly fd?: number;
}

export type ProxyProtocol = "v1" | "v2";

export interface ProxyOptions {
  readonly listen: readonly ProxyListen[];
  readonly log: Log;
  readonly clock: Clock;
  readonly observer?: ProxyObserver;
  readonly timing?: Partial<ProxyTiming>;
  /** null: as many as the process's descriptors allow. */
  readonly maxConnections?: number | null;
  /** Tells backends the client's address; null: nothing is added to the stream. */
  readonly proxyProtocol?: ProxyProtocol | null;
}

export interface ProxyTiming {
  /** For one address. A refusal is known at once; this is for hosts that do not answer. */
  readonly connectMs: number;
  /** Without a byte in either direction; 0: for ever. */
  readonly idleMs: number;
  /** How long a client waits for a backend while there is none. */
  readonly holdMs: number;
  /** For what is on its way to one side when the other has reset the connection. */
  readonly flushMs: number;
}

export const defaultTiming: ProxyTiming = {
  connectMs: 5_000,
  idleMs: 300_000,
  holdMs: 10_000,
  flushMs: 5_000,
};

/** Each costs a descriptor and what is in the kernel's buffer. */
export const maxHeldClients = 1_024;
