import type { Socket, SocketHandler } from "bun";
import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import type { Capacity } from "./capacity.ts";
import { descriptorOf } from "./descriptors.ts";
import { Dialer } from "./dialer.ts";
import { Gate } from "./gate.ts";
import { type End, Link } from "./link.ts";
import type { ProxyErrorKind, ProxyObserver } from "./observer.ts";
import type { ProxyProtocol, ProxyTiming } from "./options.ts";
import type { PortState } from "./port-state.ts";
import { proxyHeader } from "./proxy-protocol.ts";
import { endOfInput, flush, receive } from "./pump.ts";
import { Resets } from "./resets.ts";

export interface LinksParts {
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timing: ProxyTiming;
  readonly observer: ProxyObserver;
  readonly capacity: Capacity;
  readonly proxyProtocol: ProxyProtocol | null;
}

/** Looking more often than this gains nothing at the default of five minutes. */
const longestSweepMs = 15_000;

/** All connections. Every socket shares one set of handlers; what differs is in its `data`. */
export class Links {
  readonly gate: Gate;
  readonly #dialer: Dialer;
  readonly #resets: Resets;
  readonly #all = new Set<Link>();
  readonly #handlers: SocketHandler<End>;
  #onEmpty: (() => void) | null = null;

  constructor(private readonly parts: LinksParts) {
    const { capacity, clock, signal, timing } = parts;
    this.gate = new Gate(capacity, clock, signal);
    this.#resets = new Resets(timing.flushMs, clock, signal);
    this.#handlers = {
      data: (socket, bytes) => receive(socket.data, bytes, clock.monotonicMs()),
      drain: (socket) => flush(socket.data, clock.monotonicMs()),
      end: (socket) => endOfInput(socket.data),
      close: (socket, error) => this.#closed(socket.data, error),
      error: (socket, error) => this.#broken(socket.data, error),
    };
    this.#dialer = new Dialer({
      ...parts,
      gate: this.gate,
      handlers: this.#handlers,
      connected: (link) => this.#connected(link),
      failed: (link, kind) => this.#end(link, kind),
    });
    if (timing.idleMs > 0) void this.#sweep();
  }

  get size(): number {
    return this.#all.size;
  }

  /** Of a port's listening socket: accepted ones get the shared handlers. */
  handlersFor(port: PortState): SocketHandler<End> {
    return { ...this.#handlers, open: (socket) => this.#accepted(port, socket) };
  }

  wake(port: PortState): void {
    this.#dialer.wake(port);
  }

  /** Cuts what a replica has; those that only tried to reach it are served by another. */
  cutReplica(id: string): number {
    let cut = 0;
    for (const link of this.#all) {
      if (link.target?.backend.replica.id !== id) continue;
      if (link.state === "connecting") {
        this.#dialer.redirect(link);
      } else {
        this.#end(link, "cut");
        cut += 1;
      }
    }
    return cut;
  }

  cutAll(): number {
    const count = this.#all.size;
    for (const link of this.#all) this.#end(link, "cut");
    return count;
  }

  /** Resolves when no connection is left. */
  empty(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#all.size === 0) resolve();
    else this.#onEmpty = resolve;
    return promise;
  }

  #accepted(port: PortState, socket: Socket<End>): void {
    const link = new Link(port, this.parts.clock.monotonicMs());
    link.client.socket = socket;
    socket.data = link.client;
    this.#all.add(link);
    port.total += 1;
    port.active += 1;
    this.gate.enter(descriptorOf(socket));
    this.#dialer.dial(link);
  }

  #connected(link: Link): void {
    const { backend, client } = link;
    const { proxyProtocol } = this.parts;
    if (proxyProtocol !== null) {
      const header = proxyHeader(proxyProtocol, endpointsOf(client.socket));
      backend.queue = { chunks: [header, ...(backend.queue?.chunks ?? [])], offset: 0 };
    }
    flush(backend, link.activeMs);
  }

  #closed(end: End, error: Error | undefined): void {
    end.socket = null;
    end.queue = null;
    if (end.abandoned) {
      this.gate.leave();
      return;
    }
    const { link, peer } = end;
    if (link.state === "held" || link.state === "connecting") this.#dialer.cancel(link);
    else if (link.state === "open" && error === undefined && end.finSent && !end.broken) endOfInput(end);
    else if (link.state === "open" && peer.socket !== null) this.#reset(link, peer);
    if (end === link.backend) this.#dialer.release(link);
    if (link.client.socket === null && link.backend.socket === null) this.#forget(link);
  }

  #reset(link: Link, survivor: End): void {
    this.#count(link, "reset");
    this.#resets.pass(survivor);
  }

  /**
   * Both sides at once, with a reset: a clean end could pass for the end of an answer. Whatever was in the middle of
   * being connected is left alone.
   */
  #end(link: Link, kind: ProxyErrorKind): void {
    this.#count(link, kind);
    this.#dialer.cancel(link);
    link.state = "ended";
    link.backend.socket?.terminate();
    link.client.socket?.terminate();
  }

  #count({ port }: Link, kind: ProxyErrorKind): void {
    port.errors[kind] += 1;
  }

  #forget(link: Link): void {
    if (!this.#all.delete(link)) return;
    const { port } = link;
    port.active -= 1;
    this.parts.observer.closed(port.port, this.parts.clock.monotonicMs() - link.startedMs);
    this.gate.leave();
    if (this.#all.size === 0) this.#onEmpty?.();
  }

  #broken(end: End, error: Error): void {
    this.parts.log.error("Proxy connection failed", { error });
    if (end.link.state !== "ended") this.#end(end.link, "reset");
  }

  /** One timer for all. Bytes in either direction count, so a half-closed connection lives as long as any other. */
  async #sweep(): Promise<void> {
    const { clock, signal, timing } = this.parts;
    const everyMs = Math.min(longestSweepMs, Math.max(1, timing.idleMs / 10));
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal).catch(() => undefined); // aborts when the proxy is closed
      const before = clock.monotonicMs() - timing.idleMs;
      for (const link of this.#all) if (link.state === "open" && link.activeMs <= before) closeIdle(link);
    }
  }
}

/** With a FIN, as pools of kept connections expect it; a side that has had one already learns it by a reset. */
function closeIdle(link: Link): void {
  link.state = "ended";
  for (const { socket, finSent } of [link.backend, link.client]) {
    if (finSent) socket?.terminate();
    else socket?.end();
  }
}

function endpointsOf(socket: Socket<End> | null) {
  if (socket === null || !socket.remoteAddress || !socket.localAddress) return null;
  return {
    sourceHost: socket.remoteAddress,
    sourcePort: socket.remotePort,
    targetHost: socket.localAddress,
    targetPort: socket.localPort,
  };
}
