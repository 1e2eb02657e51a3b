import { records } from "../events.ts";
import type { Log } from "../log.ts";
import { type Address, addressText } from "../util/address.ts";
import type { Backend } from "./backend-pool.ts";
import type { PortState } from "./port-state.ts";
import { Replica } from "./replica.ts";
import type { ReplicaAddresses } from "./rotation.ts";

/** Which replicas are behind which port. */
export class Replicas {
  readonly #byId = new Map<string, Replica>();

  constructor(
    private readonly ports: ReadonlyMap<number, PortState>,
    private readonly log: Log,
  ) {}

  get members(): readonly string[] {
    return [...this.#byId.values()].filter(({ admitted }) => admitted).map(({ id }) => id);
  }

  get(id: string): Replica | null {
    return this.#byId.get(id) ?? null;
  }

  /** Every backend that a port has or had and whose replica was not dropped. */
  backendsOn(port: number): Backend[] {
    return [...this.#byId.values()].flatMap(({ backends }) => backends.get(port) ?? []);
  }

  admit(id: string, addresses: ReplicaAddresses): void {
    const replica = this.#byId.get(id) ?? new Replica(id);
    this.#byId.set(id, replica);
    replica.admitted = true;
    for (const [port, state] of this.ports) this.#place(replica, state, addresses.get(port) ?? []);
  }

  retire(id: string): void {
    const replica = this.#byId.get(id);
    if (replica === undefined) return;
    replica.admitted = false;
    for (const [port, state] of this.ports) this.#remove(replica.backends.get(port), state);
  }

  forget(id: string): void {
    this.retire(id);
    this.#byId.delete(id);
  }

  #place(replica: Replica, { pool, port }: PortState, addresses: readonly Address[]): void {
    const first = addresses[0];
    if (first === undefined) {
      this.#remove(replica.backends.get(port), { pool, port });
      return;
    }
    const backend = replica.backendOn(port);
    const isMember = pool.members.includes(backend);
    if (isMember && backend.isAt(addresses)) return;
    backend.moveTo(addresses);
    pool.add(backend);
    const attributes = { proxy_port: port, backend: addressText(first) };
    if (!isMember) this.log.debug(records.backendAdded, attributes);
    this.log.info(records.backendUpdated, attributes);
  }

  #remove(backend: Backend | undefined, { pool, port }: Pick<PortState, "pool" | "port">): void {
    if (backend === undefined || !pool.members.includes(backend)) return;
    pool.remove(backend);
    const [target] = backend.targets;
    this.log.debug(records.backendRemoved, {
      proxy_port: port,
      backend: target === undefined ? undefined : addressText(target.address),
    });
  }
}
