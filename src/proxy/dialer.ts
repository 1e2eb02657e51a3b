import type { Socket, SocketHandler, TCPSocketConnectOptions } from "bun";
import { systemCode } from "../errors.ts";
import type { Clock } from "../util/time.ts";
import type { Target } from "./backend-pool.ts";
import { Deadlines } from "./deadlines.ts";
import type { Gate } from "./gate.ts";
import type { End, Link } from "./link.ts";
import type { ProxyErrorKind, ProxyObserver } from "./observer.ts";
import { maxHeldClients, type ProxyTiming } from "./options.ts";
import type { PortState } from "./port-state.ts";
import { pause } from "./pump.ts";

const keepAliveDelayMs = 60_000;

export interface DialerParts {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly timing: ProxyTiming;
  readonly gate: Gate;
  readonly observer: ProxyObserver;
  /** Of every backend's socket once it is connected. */
  readonly handlers: SocketHandler<End>;
  connected(link: Link): void;
  /** No backend could be had: the client is to be closed. */
  failed(link: Link, kind: ProxyErrorKind): void;
}

/**
 * Finds each client a backend: every address is tried once. While a port has no backend at all, its clients are held,
 * as the next replica may be seconds away; a bounded number of them, unread, for a bounded time.
 */
export class Dialer {
  readonly #handlers: SocketHandler<End>;
  readonly #attempts: Deadlines<End>;
  readonly #held: Deadlines<Link>;

  constructor(private readonly parts: DialerParts) {
    const { clock, signal, timing } = parts;
    this.#attempts = new Deadlines(timing.connectMs, clock, signal, (end) => {
      this.#abandon(end.link);
      this.#attemptFailed(end.link, "connect-timeout");
    });
    this.#held = new Deadlines(timing.holdMs, clock, signal, (link) => {
      link.port.held.delete(link);
      parts.failed(link, "no-backend");
    });
    this.#handlers = {
      ...parts.handlers,
      open: (socket) => this.#opened(socket),
      connectError: (socket, error) => this.#refused(socket.data, error),
    };
  }

  dial(link: Link): void {
    const { pool } = link.port;
    const now = this.parts.clock.monotonicMs();
    const target = link.tried.length === 0 ? pool.next(now) : pool.retry(link.tried, now);
    if (target === null) {
      this.#withoutBackend(link, now);
      return;
    }
    link.state = "connecting";
    link.target = target;
    link.attemptMs = now;
    target.backend.take();
    this.#attempts.add(link.backend);
    // Its failures come through connectError; there is no way to call it off (Bun 1.4.5).
    void Bun.connect(this.#optionsFor(target, link.backend));
  }

  /** A port has a backend again. */
  wake({ held }: PortState): void {
    for (const link of held) {
      held.delete(link);
      this.#held.delete(link);
      link.tried = [];
      this.dial(link);
    }
  }

  /** The client is gone, or is to go: nobody waits for a backend any more. */
  cancel(link: Link): void {
    if (link.port.held.delete(link)) this.#held.delete(link);
    else if (link.state === "connecting") this.#abandon(link);
    this.release(link);
  }

  /** Its replica was dropped in the middle of an attempt: on to the next. */
  redirect(link: Link): void {
    this.#abandon(link);
    this.release(link);
    this.dial(link);
  }

  /** It no longer counts for its backend. */
  release(link: Link): void {
    const { target } = link;
    link.target = null;
    target?.backend.release();
  }

  #optionsFor({ address }: Target, data: End): TCPSocketConnectOptions<End> {
    const { host: hostname, port } = address;
    return { hostname, port, data, allowHalfOpen: true, socket: this.#handlers };
  }

  #opened(socket: Socket<End>): void {
    const end = socket.data;
    end.socket = socket;
    // Too late: whoever waited is served elsewhere, or gone.
    if (end.abandoned) {
      socket.terminate();
      return;
    }
    const { link } = end;
    this.#attempts.delete(end);
    link.state = "open";
    link.activeMs = this.parts.clock.monotonicMs();
    link.target?.succeeded();
    this.parts.observer.connected(link.port.port, link.activeMs - link.attemptMs);
    socket.setKeepAlive(true, keepAliveDelayMs);
    this.parts.connected(link);
  }

  #refused(end: End, error: Error): void {
    if (end.abandoned) {
      this.parts.gate.leave();
      return;
    }
    this.#attempts.delete(end);
    this.#attemptFailed(
      end.link,
      systemCode(error) === "ECONNREFUSED" ? "connect-refused" : "connect-failed",
    );
  }

  #attemptFailed(link: Link, kind: ProxyErrorKind): void {
    const { target, port } = link;
    port.errors[kind] += 1;
    if (target !== null) {
      target.failed(this.parts.clock.monotonicMs());
      link.tried = [...link.tried, target];
    }
    this.release(link);
    this.dial(link);
  }

  /** Until the kernel gives it up it has a descriptor, and counts. */
  #abandon(link: Link): void {
    this.#attempts.delete(link.backend);
    link.abandon();
    this.parts.gate.enter(null);
  }

  #withoutBackend(link: Link, nowMs: number): void {
    const { pool, held } = link.port;
    const late = nowMs - link.startedMs >= this.parts.timing.holdMs;
    const refused = late || held.size >= maxHeldClients;
    if (pool.members.length > 0 || refused) {
      this.parts.failed(link, pool.members.length > 0 ? "unserved" : "no-backend");
      return;
    }
    link.state = "held";
    pause(link.client);
    held.add(link);
    this.#held.add(link);
  }
}
