import { records } from "../events.ts";
import { addressText } from "../util/address.ts";
import type { Call } from "../util/async.ts";
import { Acceptor } from "./acceptor.ts";
import type { Backend } from "./backend-pool.ts";
import { capacityFor } from "./capacity.ts";
import { descriptorLimit } from "./descriptors.ts";
import { Links } from "./links.ts";
import { type BackendStats, type ProxyStats, silentObserver } from "./observer.ts";
import { defaultTiming, type ProxyListen, type ProxyOptions } from "./options.ts";
import { PortState } from "./port-state.ts";
import { Replicas } from "./replicas.ts";
import type { ReplicaAddresses, ReplicaRotation } from "./rotation.ts";

/**
 * TCP from several listening ports to the replicas behind them, round-robin by connection, nothing added to the
 * stream unless the PROXY protocol is asked for. Both directions run on their own: each keeps its half-close, and
 * neither reads faster than the other side takes it.
 */
export class TcpProxy implements ReplicaRotation, AsyncDisposable {
  readonly #ports: ReadonlyMap<number, PortState>;
  readonly #replicas: Replicas;
  readonly #links: Links;
  readonly #acceptors: readonly Acceptor[];
  readonly #closing = new AbortController();
  readonly #maxConnections: number;
  #state: "open" | "deaf" | "closing" = "open";

  private constructor(private readonly options: ProxyOptions) {
    const { clock, log, listen } = options;
    const capacity = capacityFor(options.maxConnections ?? null, descriptorLimit());
    this.#maxConnections = capacity.maxConnections;
    this.#ports = new Map(listen.map(({ port }) => [port, new PortState(port)]));
    this.#replicas = new Replicas(this.#ports, log);
    this.#links = new Links({
      log,
      clock,
      capacity,
      signal: this.#closing.signal,
      timing: { ...defaultTiming, ...options.timing },
      observer: options.observer ?? silentObserver,
      proxyProtocol: options.proxyProtocol ?? null,
    });
    this.#acceptors = this.#listen();
    this.#links.gate.watch(this.#acceptors);
  }

  /** All ports or none: `port-in-use`, or `config-invalid` for an address or a number of connections that can't be. */
  static open(options: ProxyOptions): TcpProxy {
    const { log, listen } = options;
    for (const { port } of listen) log.info(records.proxyStarting, { port });
    const proxy = new TcpProxy(options);
    for (const { port } of listen) {
      log.debug(records.proxyStarted, { proxy_port: port });
      log.info(records.reverseProxyStarted, { external_port: port });
    }
    log.debug(records.proxiesStarted, { count: listen.length });
    return proxy;
  }

  /** The listening sockets, for a successor to take over. */
  get listeners(): readonly { readonly listen: ProxyListen; readonly fd: number }[] {
    return this.#acceptors.map(({ listen, fd }) => ({ listen, fd }));
  }

  get members(): readonly string[] {
    return this.#replicas.members;
  }

  admit(replica: string, addresses: ReplicaAddresses): void {
    this.#replicas.admit(replica, addresses);
    for (const port of this.#ports.values()) if (port.pool.members.length > 0) this.#links.wake(port);
  }

  retire(replica: string): void {
    this.#replicas.retire(replica);
  }

  async drained(replica: string, c: Call): Promise<void> {
    await this.#replicas.get(replica)?.drained(c);
  }

  drop(replica: string): number {
    this.#replicas.forget(replica);
    return this.#links.cutReplica(replica);
  }

  connections(replica: string): number {
    return this.#replicas.get(replica)?.active ?? 0;
  }

  stats(): ProxyStats {
    return {
      connections: this.#links.size,
      maxConnections: this.#maxConnections,
      accepting: this.#links.gate.accepting,
      ports: [...this.#ports.values()].map((state) => ({
        port: state.port,
        connectionsTotal: state.total,
        connectionsActive: state.active,
        held: state.held.size,
        bytesFromClients: state.fromClients.bytes,
        bytesFromBackends: state.fromBackends.bytes,
        errors: { ...state.errors },
        backends: this.#replicas.backendsOn(state.port).map((backend) => statsOf(backend, state)),
      })),
    };
  }

  /** Nobody new comes in; who is connected stays. */
  stopListening(): void {
    if (this.#state !== "open") return;
    this.#state = "deaf";
    this.options.log.info(records.proxyStopping);
    this.#links.gate.close();
  }

  /** Stops listening, gives open connections `graceMs` to end, cuts the rest; answers how many were cut. */
  async close(graceMs: number, c: Call): Promise<number> {
    if (this.#state === "closing") return 0;
    this.stopListening();
    this.#state = "closing";
    if (graceMs > 0) await this.#emptied(graceMs, c);
    const cut = this.#links.cutAll();
    this.#closing.abort();
    return cut;
  }

  /** Or the grace is over. */
  async #emptied(graceMs: number, c: Call): Promise<void> {
    const early = new AbortController();
    const over = AbortSignal.any([early.signal, c.signal]);
    const patience = this.options.clock.sleep(graceMs, over).catch(() => undefined); // aborted: waited enough
    await Promise.race([this.#links.empty(), patience]);
    early.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0, { signal: this.#closing.signal });
  }

  #listen(): Acceptor[] {
    const opened: Acceptor[] = [];
    try {
      for (const listen of this.options.listen) {
        const port = this.#ports.get(listen.port);
        if (port !== undefined) opened.push(Acceptor.open(listen, this.#links.handlersFor(port)));
      }
      return opened;
    } catch (error) {
      for (const acceptor of opened) acceptor.close();
      this.#closing.abort();
      throw error;
    }
  }
}

function statsOf(backend: Backend, { pool }: PortState): BackendStats {
  const [target] = backend.targets;
  return {
    replica: backend.replica.id,
    address: target === undefined ? "" : addressText(target.address),
    inRotation: pool.members.includes(backend),
    connectionsTotal: backend.total,
    connectionsActive: backend.active,
    failures: backend.failures,
  };
}
