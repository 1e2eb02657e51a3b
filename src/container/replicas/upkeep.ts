import { DewyError, messageOf } from "../../errors.ts";
import { records } from "../../events.ts";
import { duration, type Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Deployment } from "../deployment.ts";
import { readLabels } from "../labels.ts";
import type { Container, RuntimeInfo } from "../runtime.ts";
import { type LossHistory, nextLoss, noLosses, replicaBackOff } from "./back-off.ts";
import type { Checks } from "./checks.ts";
import type { EngineLink } from "./engine-link.ts";
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
  /** The container's name; null: there is none. */
  readonly container: string | null;
  readonly reason: string;
  readonly delayMs: number;
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

  /** Why replicas are missing; null: none was lost since the last change. */
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

  /** How long nothing is to be done as far as can be told: 0: something is. */
  idleMs(deployment: Deployment, containers: readonly Container[]): number {
    const plan = this.#plan(deployment, containers);
    const sick = plan.sick.filter((replica) => !this.#mourned.has(replica));
    const due = [plan.adopt, plan.remove, plan.lost, plan.surplus, sick].some(({ length }) => length > 0);
    if (due) return 0;
    return plan.missing === 0 ? Number.POSITIVE_INFINITY : this.#waitMs;
  }

  /** One look at everything, and what follows from it. Fails as the engine does. */
  async pass(deployment: Deployment, c: Call): Promise<void> {
    const { containers, engine, askedMs } = await this.#list(c);
    const first = this.#plan(deployment, containers);
    for (const container of first.remove) this.deps.retirement.removeLeftover(container);
    const adopted = first.adopt.map((container) => this.#adopt(container, deployment, askedMs, engine));
    await Promise.all(adopted.map((replica) => this.deps.checks.check(replica, c)));
    this.#cheer();
    const plan = this.#plan(deployment, containers);
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
    this.deps.members.observe(listed.containers, listed.askedMs, listed.engine);
    return listed;
  }

  #plan(deployment: Deployment, containers: readonly Container[]): Plan {
    const { members, retirement, clock } = this.deps;
    const { root, replicas: wanted, restartMs } = this.options;
    return planOf({
      containers,
      replicas: members.all,
      isBusy: (id) => retirement.has(id),
      deployment,
      root,
      wanted,
      restartMs,
      nowMs: clock.monotonicMs(),
    });
  }

  #adopt(container: Container, deployment: Deployment, askedMs: number, engine: RuntimeInfo): Replica {
    const number = readLabels(container.labels)?.replica ?? 0;
    const replica = new Replica(container.id, container.name, number, deployment, askedMs);
    replica.see(container, askedMs, engine);
    replica.phase = "serving";
    this.deps.members.add(replica);
    this.deps.log.info("Running container adopted", { container: container.name });
    return replica;
  }

  /** One that has recovered is mourned anew when it falls ill again. */
  #cheer(): void {
    for (const replica of this.deps.members.all) {
      if (replica.health.kind === "well") this.#mourned.delete(replica);
    }
  }

  #lose(replica: Replica): void {
    this.deps.tally.ended(replica);
    this.#mourn(replica, "died", `it ${describeEnd(replica.container)}`);
    this.deps.retirement.retire(replica, "dead");
  }

  #mourn(replica: Replica, kind: ReplicaLoss["kind"], reason: string): void {
    if (this.#mourned.has(replica)) return;
    this.#mourned.add(replica);
    this.#note(kind, replica.deployment.version, replica.name, reason);
  }

  #note(kind: ReplicaLoss["kind"], version: string, container: string | null, reason: string): void {
    const { clock, log, onReplicaLost } = this.deps;
    const nowMs = clock.monotonicMs();
    const { history, delayMs } = nextLoss(this.#history, nowMs, replicaBackOff);
    this.#history = history;
    this.#retryAtMs = nowMs + delayMs;
    this.#lastReason = reason;
    const message = kind === "not-started" ? "Replica not started" : "Replica lost";
    log.warn(message, { container, error: reason, retry_after: duration(delayMs) });
    onReplicaLost({ kind, version, container, reason, delayMs });
  }

  /** All at once: there are too few already. */
  async #startMissing(deployment: Deployment, count: number, c: Call): Promise<void> {
    const { members, starter, log } = this.deps;
    const total = this.options.replicas;
    const numbers = freeNumbers(count, numbersOf(members.all, deployment));
    const starts = numbers.map(async (number, index) => {
      const place = { ordinal: total - count + index + 1, total };
      const replica = await starter.start(deployment, number, place, c);
      replica.phase = "serving";
      members.sync();
      log.info(records.inRotation, { container: replica.name, backend_count: members.inRotation });
    });
    const results = await Promise.allSettled(starts);
    c.signal.throwIfAborted();
    const failure = results.find((result) => result.status === "rejected")?.reason;
    this.#lacksImage = failure instanceof DewyError && failure.code === "not-found";
    if (failure !== undefined) this.#note("not-started", deployment.version, null, messageOf(failure));
  }
}
