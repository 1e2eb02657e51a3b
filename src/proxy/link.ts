import type { Socket } from "bun";
import type { Target } from "./backend-pool.ts";
import type { PortState } from "./port-state.ts";

/** Counts what came in at one side of a port. */
export interface Traffic {
  bytes: number;
}

/** What a socket did not take yet: `chunks`, the first of them from `offset`. */
export interface Queue {
  readonly chunks: Uint8Array[];
  offset: number;
}

/** One side of a link: the client's socket or the backend's. It is its socket's `data`. */
export class End {
  /** null: not connected yet, or closed. */
  socket: Socket<End> | null = null;
  peer: End = this;
  /** On its way to this socket. */
  queue: Queue | null = null;
  /** Its FIN has come: there is nothing more to read. */
  finReceived = false;
  /** Our FIN has gone: there is nothing more to write. */
  finSent = false;
  paused = false;
  /** A write failed: whatever end it shows from now on is a reset. */
  broken = false;
  /** An attempt nobody waits for any more; should it succeed, its socket is closed. */
  abandoned = false;

  constructor(
    readonly link: Link,
    readonly received: Traffic,
  ) {}
}

/** `held`: there is no backend. `ended`: both sides are closed, or about to be, whatever else they do. */
type LinkState = "held" | "connecting" | "open" | "ended";

/** A client's connection and the backend's that belongs to it. */
export class Link {
  readonly client: End;
  /** Another one after an attempt was abandoned. */
  backend: End;
  state: LinkState = "connecting";
  /** The one whose count it is in. */
  target: Target | null = null;
  tried: readonly Target[] = [];
  attemptMs = 0;
  /** When a byte last came or went. */
  activeMs: number;

  constructor(
    readonly port: PortState,
    readonly startedMs: number,
  ) {
    this.activeMs = startedMs;
    this.client = new End(this, port.fromClients);
    this.backend = new End(this, port.fromBackends);
    this.client.peer = this.backend;
    this.backend.peer = this.client;
  }

  /** Leaves an attempt to itself; what is queued for the backend goes to the next one. */
  abandon(): void {
    this.backend.abandoned = true;
    const next = new End(this, this.port.fromBackends);
    next.queue = this.backend.queue;
    next.peer = this.client;
    this.client.peer = next;
    this.backend = next;
  }
}
