import type { Log } from "../log.ts";
import type { EngineInfo, Instance } from "./engine.ts";
import { rotationOf } from "./reconcile.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaAddresses, Rotation } from "./rotation.ts";

/** All replicas that are known, and the one place from which they get into the rotation and out of it. */
export class Members {
  readonly #byId = new Map<string, Replica>();
  /** What the rotation was told, so that it is told changes only. */
  readonly #admitted = new Map<string, string>();
  readonly #watchers = new Set<() => void>();
  #sickServe = false;

  constructor(
    private readonly rotation: Rotation,
    private readonly threshold: number,
    private readonly log: Log,
  ) {}

  get all(): readonly Replica[] {
    return [...this.#byId.values()];
  }

  get serving(): readonly Replica[] {
    return this.all.filter(({ phase }) => phase === "serving");
  }

  /** In the rotation, or out of it for as long as the update that replaces them may still fail. */
  get inUse(): readonly Replica[] {
    return this.all.filter(({ phase }) => phase === "serving" || phase === "standby");
  }

  /** Those that get new connections because they are well, not for want of better ones. */
  get well(): readonly Replica[] {
    return this.all.filter(({ id, health }) => health.kind === "well" && this.isAdmitted(id));
  }

  /** How many get new connections. */
  get inRotation(): number {
    return this.#admitted.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  isAdmitted(id: string): boolean {
    return this.#admitted.has(id);
  }

  add(replica: Replica): void {
    this.#byId.set(replica.id, replica);
  }

  /** Called after each change of what is known of them, until it is disposed of. */
  watch(onChange: () => void): Disposable {
    this.#watchers.add(onChange);
    return { [Symbol.dispose]: () => void this.#watchers.delete(onChange) };
  }

  /** Forgets it; answers how many connections were cut. */
  drop(replica: Replica): number {
    this.#byId.delete(replica.id);
    this.#admitted.delete(replica.id);
    const cut = this.rotation.drop(replica.id);
    this.sync();
    return cut;
  }

  /** What the engine listed when it was asked at `askedMs`. */
  observe(instances: readonly Instance[], askedMs: number, info: Pick<EngineInfo, "rootless">): void {
    const byId = new Map(instances.map((instance) => [instance.id, instance]));
    for (const replica of this.#byId.values()) replica.see(byId.get(replica.id) ?? null, askedMs, info);
    this.sync();
  }

  /** Brings the rotation to what the replicas' states say; newcomers first, so that it is never empty in between. */
  sync(): void {
    const wanted = rotationOf(this.all, this.threshold);
    this.#noteSickness(wanted);
    for (const { id, route } of wanted) {
      const key = routeKey(route);
      if (this.#admitted.get(id) === key) continue;
      this.#admitted.set(id, key);
      this.rotation.admit(id, route);
    }
    const ids = new Set(wanted.map(({ id }) => id));
    for (const id of [...this.#admitted.keys()]) {
      if (ids.has(id)) continue;
      this.#admitted.delete(id);
      this.rotation.retire(id);
    }
    for (const onChange of this.#watchers) onChange();
  }

  #noteSickness(wanted: readonly Replica[]): void {
    const sickServe = wanted.some(({ health }) => health.kind !== "well");
    if (sickServe === this.#sickServe) return;
    this.#sickServe = sickServe;
    if (!sickServe) this.log.info("Healthy replicas serve again");
    else {
      this.log.warn("No replica is healthy: all that run stay in the rotation", {
        error: wanted[0]?.health.seen,
      });
    }
  }
}

function routeKey(route: ReplicaAddresses): string {
  return JSON.stringify([...route]);
}
