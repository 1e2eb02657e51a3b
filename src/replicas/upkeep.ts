import { type Blame, DewyError, toDewyError } from "../errors.ts";
import { duration, type Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { type LossHistory, nextLoss, noLosses, replicaBackOff } from "./back-off.ts";
import type { Checks } from "./checks.ts";
import type { Deployment } from "./deployment.ts";
import type { EngineInfo, Instance } from "./engine.ts";
import type { EngineLink } from "./engine-link.ts";
import { readLabels } from "./labels.ts";
import type { Members } from "./members.ts";
import { freeNumbers, type Plan, planOf } from "./reconcile.ts";
import { describeEnd, Replica } from "./replica.ts";
import type { Retirement } from "./retirement.ts";
import { numbersOf } from "./rolling-update.ts";
import type { Starter } from "./start-replica.ts";
import type { Tally } from "./tally.ts";

/** A replica that is not there (any more), and when the next one is tried. */
export interface ReplicaLoss {
  /** `not-started`: its replacement did not come up. */
  readonly kind: "died" | "sick" | "not-started";
  readonly version: string;
  /** What it was made from (`Deployment.image`). */
  readonly image: string;
  /** The copy's name; null: there is none. */
  readonly name: string | null;
  readonly reason: string;
  readonly delayMs: number;
  /** Whose fault it is; left out: the release's. */
  readonly blame?: Blame;
}

export interface UpkeepOptions {
  readonly root: string;
  readonly replicas: number;
  /** How long one that the engine itself restarts may be away. */
  readonly restartMs: number;
}

interface UpkeepDeps {
  readonly engine: EngineLink;
  readonly members: Members;
  readonly tally: Pick<Tally, "ended">;
  readonly retirement: Retirement;
  readonly starter: Starter;
  readonly checks: Checks;
  readonly clock: Clock;
  readonly log: Log;
  readonly onReplicaLost: (loss: ReplicaLoss) => void;
}

/** Brings what runs to what should: one deployment's replicas, no more, no fewer, nothing of others. */
export class Upkeep {
  #history: LossHistory = noLosses;
  #retryAtMs = 0;
  #lastReason: string | null = null;
  #lacksImage = false;
  readonly #mourned = new WeakSet<Replica>();

  constructor(
    private readonly options: UpkeepOptions,
    private readonly deps: UpkeepDeps,
  ) {}

  /** Why replicas are missing; null: none was lost that has not been made good. */
  get lastReason(): string | null {
    return this.#lastReason;
  }

  /** The last start failed because the image is not on this host any more. */
  get lacksImage(): boolean {
    return this.#lacksImage;
  }

  /** After a deploy that went well nothing is held against the new replicas. */
  forgive(): void {
    this.#history = noLosses;
    this.#retryAtMs = 0;
    this.#lastReason = null;
    this.#lacksImage = false;
  }

  /** Notes who is well again; answers how long nothing is to be done as far as can be told: 0: something is. */
  look(deployment: Deployment, instances: readonly Instance[]): number {
    this.#cheer();
    const plan = this.#plan(deployment, instances);
    const sick = plan.sick.filter((replica) => !this.#mourned.has(replica));
    const due = [plan.adopt, plan.remove, plan.lost, plan.surplus, sick].some(({ length }) => length > 0);
    if (due) return 0;
    return plan.missing === 0 ? Number.POSITIVE_INFINITY : this.#waitMs;
  }

  /** One look at everything, and what follows from it. Fails as the engine does. */
  async pass(deployment: Deployment, c: Call): Promise<void> {
    const { instances, info, askedMs } = await this.#list(c);
    const first = this.#plan(deployment, instances);
    for (const instance of first.remove) this.deps.retirement.removeLeftover(instance);
    const adopted = first.adopt.map((instance) => this.#adopt(instance, deployment, askedMs, info));
    await Promise.all(adopted.map((replica) => this.deps.checks.check(replica, c)));
    this.#cheer();
    const plan = this.#plan(deployment, instances);
    for (const replica of plan.lost) this.#lose(replica);
    for (const replica of plan.sick) this.#mourn(replica, "sick", replica.health.seen);
    for (const replica of plan.surplus) this.deps.retirement.retire(replica);
    if (plan.missing > 0 && this.#waitMs === 0) await this.#startMissing(deployment, plan.missing, c);
  }

  get #waitMs(): number {
    return Math.max(0, this.#retryAtMs - this.deps.clock.monotonicMs());
  }

  async #list(c: Call): ReturnType<EngineLink["list"]> {
    const listed = await this.deps.engine.list(c);
    this.deps.members.observe(listed.instances, listed.askedMs, listed.info);
    return listed;
  }

  #plan(deployment: Deployment, instances: readonly Instance[]): Plan {
    const { members, retirement, clock } = this.deps;
    const { root, replicas: wanted, restartMs } = this.options;
    return planOf({
      instances,
      replicas: members.all,
      isBusy: (id) => retirement.has(id),
      deployment,
      root,
      wanted,
      restartMs,
      nowMs: clock.monotonicMs(),
    });
  }

  #adopt(instance: Instance, deployment: Deployment, askedMs: number, info: EngineInfo): Replica {
    const number = readLabels(instance.labels)?.replica ?? 0;
    const replica = new Replica(instance.id, instance.name, number, deployment, askedMs);
    replica.see(instance, askedMs, info);
    replica.phase = "serving";
    this.deps.members.add(replica);
    const { log, engine } = this.deps;
    log.info("Running replica adopted", { [engine.words.noun]: instance.name });
    return replica;
  }

  /** One that has recovered is mourned anew when it falls ill again; what is made good explains nothing to come. */
  #cheer(): void {
    const { members } = this.deps;
    if (members.well.length >= this.options.replicas) this.#lastReason = null;
    for (const replica of members.all) {
      if (replica.health.kind === "well") this.#mourned.delete(replica);
    }
  }

  #lose(replica: Replica): void {
    this.deps.tally.ended(replica);
    this.#mourn(replica, "died", `it ${describeEnd(replica.instance)}`);
    this.deps.retirement.retire(replica, "dead");
  }

  #mourn(replica: Replica, kind: ReplicaLoss["kind"], reason: string): void {
    if (this.#mourned.has(replica)) return;
    this.#mourned.add(replica);
    this.#note(kind, replica.deployment, replica.name, { reason, blame: "release" });
  }

  #note(
    kind: ReplicaLoss["kind"],
    deployment: Deployment,
    name: string | null,
    { reason, blame }: { readonly reason: string; readonly blame: Blame },
  ): void {
    const { clock, engine, log, onReplicaLost } = this.deps;
    const nowMs = clock.monotonicMs();
    const { history, delayMs } = nextLoss(this.#history, nowMs, replicaBackOff);
    this.#history = history;
    this.#retryAtMs = nowMs + delayMs;
    this.#lastReason = reason;
    const message = kind === "not-started" ? "Replica not started" : "Replica lost";
    log.warn(message, { [engine.words.noun]: name, error: reason, retry_after: duration(delayMs) });
    const { version, image } = deployment;
    onReplicaLost({ kind, version, image: image.reference, name, reason, delayMs, blame });
  }

  /** All at once: there are too few already. */
  async #startMissing(deployment: Deployment, count: number, c: Call): Promise<void> {
    const { members, starter, log, engine } = this.deps;
    const { noun, records } = engine.words;
    const total = this.options.replicas;
    const numbers = freeNumbers(count, numbersOf(members.all, deployment));
    const starts = numbers.map(async (number, index) => {
      const place = { ordinal: total - count + index + 1, total, minUptimeMs: 0 };
      const replica = await starter.start(deployment, number, place, c);
      replica.phase = "serving";
      members.sync();
      log.info(records.inRotation, { [noun]: replica.name, backend_count: members.inRotation });
    });
    const results = await Promise.allSettled(starts);
    c.signal.throwIfAborted();
    const failure = results.find((result) => result.status === "rejected")?.reason;
    this.#lacksImage = failure instanceof DewyError && failure.code === "not-found";
    if (failure === undefined) return;
    const { message: reason, blame } = toDewyError(failure, "start a replica");
    this.#note("not-started", deployment, null, { reason, blame });
  }
}
