import { messageOf } from "../errors.ts";
import { type Call, Mutex } from "../util/async.ts";
import type { Deployment } from "./deployment.ts";
import type { Instance } from "./engine.ts";
import { detached } from "./engine-link.ts";
import { assemble, type ReplicaSetDeps, type ReplicaSetOptions, type ReplicaSetParts } from "./parts.ts";
import { Passes } from "./passes.ts";
import { rollingUpdate, type UpdateSteps } from "./rolling-update.ts";
import { endAll } from "./shutdown.ts";
import { lossOf, type ReplicaSetStatus, type ReplicaStatus, replicaStatus, setStatus } from "./status.ts";
import type { Tally } from "./tally.ts";

/**
 * Keeps the replicas of one app running and in the rotation. Changes (updates, restarts, upkeep) run one at a time;
 * looking on, checks and what follows from them for the rotation never wait for a change.
 */
export class ReplicaSet implements AsyncDisposable {
  readonly #changes = new Mutex();
  readonly #stop = new AbortController();
  readonly #parts: ReplicaSetParts;
  readonly #passes: Passes;
  #deployment: Deployment | null = null;
  #pendingChanges = 0;
  #loops: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | null = null;

  private constructor(
    private readonly options: ReplicaSetOptions,
    private readonly deps: ReplicaSetDeps,
  ) {
    this.#parts = assemble(options, deps, (instances) => this.#onListed(instances));
    this.#passes = new Passes({
      parts: this.#parts,
      changes: this.#changes,
      signal: this.#stop.signal,
      log: deps.log,
      roll: (deployment, c) => this.#roll(deployment, noSteps, c),
    });
  }

  /** Touches nothing before `resume` or `update`. */
  static open(options: ReplicaSetOptions, deps: ReplicaSetDeps): ReplicaSet {
    const set = new ReplicaSet(options, deps);
    const c = { signal: set.#stop.signal };
    const loops = [set.#parts.watcher.run(c), set.#parts.checks.run(c)];
    set.#loops = Promise.all(loops.map((loop) => loop.catch((error: unknown) => set.#noteEnd(error))));
    return set;
  }

  get deployment(): Deployment | null {
    return this.#deployment;
  }

  /**
   * Serves the recorded deployment with what is on this host: adopts its replicas, starts those that are missing,
   * removes others of the app. Resolves after the first try; whatever failed is tried again in the background. null:
   * nothing is recorded, nothing is touched.
   */
  async resume(deployment: Deployment | null, c: Call): Promise<void> {
    await this.#change(c, async (bounded) => {
      this.#deployment = deployment;
      if (deployment !== null) await this.#passes.keepUp(deployment, bounded);
    });
  }

  /**
   * The rolling update to another deployment. Resolves once it is committed: the old replicas drain and go in the
   * background (`settled`), and the next update waits for them, as a host is sized for two sets, not three; one that
   * goes back does not. Broken off when nobody serves any more, so that upkeep makes good what is lost. Fails with
   * `start-failed` or `health-failed` for the image's own faults, else as the engine or the steps do; the old replicas
   * then serve as before.
   */
  async update(next: Deployment, steps: UpdateSteps, c: Call): Promise<"started" | "restarted"> {
    const isReturning = steps.returning === true;
    if (!isReturning) await this.#passes.quiet(c);
    const commit = async () => {
      await steps.commit();
      this.#deployment = next;
    };
    const told = { ...steps, switched: (call: Call) => steps.switched(call), commit };
    const roll = (call: Call) => this.#roll(next, told, call);
    const { outageGuard } = this.#parts;
    return await this.#change(c, (bounded) => (isReturning ? roll(bounded) : outageGuard.run(roll, bounded)));
  }

  /** All replicas anew, as an update replaces them; without a deployment nothing happens. */
  async restart(c: Call): Promise<void> {
    await this.#parts.retirement.done(c);
    await this.#change(c, async (bounded) => {
      if (this.#deployment !== null) await this.#roll(this.#deployment, noSteps, bounded);
    });
  }

  /** Resolves when no replica is on its way out. */
  settled(c: Call): Promise<void> {
    return this.#parts.retirement.done(c);
  }

  replicas(): readonly ReplicaStatus[] {
    return this.#parts.members.all.map((replica) =>
      replicaStatus(
        replica,
        this.#parts.members.isAdmitted(replica.id),
        this.deps.rotation.connections(replica.id),
      ),
    );
  }

  /** What was counted of the replicas, those that are gone included. */
  get tally(): Pick<Tally, "checks" | "endings"> {
    return this.#parts.tally;
  }

  /** Replicas are missing and can't be started: their image is not on this host any more. */
  get lacksImage(): boolean {
    return this.#parts.upkeep.lacksImage;
  }

  /** What keeps the replicas from being as the operator wants them, for people; null: nothing that is known. */
  get trouble(): string | null {
    const { engine, renewal, members } = this.#parts;
    const missing = members.well.length < this.options.replicas ? this.#reason : null;
    return engine.trouble ?? renewal.trouble(this.#deployment) ?? missing;
  }

  status(): ReplicaSetStatus {
    return setStatus({
      deployment: this.#deployment,
      inRotation: this.#parts.members.well.length,
      replicas: this.options.replicas,
      isChanging: this.#pendingChanges > 0,
      reason: this.#parts.engine.trouble ?? this.#reason,
    });
  }

  /** While a change keeps upkeep from telling of it, too. */
  get #reason(): string | null {
    return lossOf(this.#parts.members.serving) ?? this.#parts.upkeep.lastReason;
  }

  /**
   * Stops and removes the app's replicas, unless they are to be left running. `drain`: what connections they have
   * may end within the drain time before; an abort of `c` ends all waiting.
   */
  close(how: { readonly drain: boolean }, c: Call): Promise<void> {
    this.#closed ??= this.#close(how, c);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ drain: false }, detached());
  }

  async #close(how: { readonly drain: boolean }, c: Call): Promise<void> {
    this.#stop.abort(new DOMException("the replicas are being shut down", "AbortError"));
    await this.#changes.run(async () => {
      await this.#loops;
      const { leaveRunning, drainMs, stopGraceMs } = this.options;
      if (leaveRunning) return await this.#parts.retirement.abandon();
      const timing = { drainMs: how.drain ? drainMs : 0, stopGraceMs };
      await endAll(timing, { ...this.#parts, ...this.deps }, c);
    });
  }

  async #roll(next: Deployment, steps: UpdateSteps, c: Call): Promise<"started" | "restarted"> {
    const { log, clock } = this.deps;
    const { replicas, minUptimeMs = 0 } = this.options;
    const old = await rollingUpdate(next, steps, { ...this.#parts, replicas, minUptimeMs, clock, log }, c);
    this.#parts.upkeep.forgive();
    this.#parts.tally.forgive();
    return old.length === 0 ? "started" : "restarted";
  }

  async #change<T>(c: Call, work: (c: Call) => Promise<T>): Promise<T> {
    const signal = AbortSignal.any([c.signal, this.#stop.signal]);
    this.#pendingChanges++;
    this.#passes.breakOff();
    try {
      return await this.#changes.run(async () => {
        // Who asked for it may have changed their mind while it waited for its turn.
        signal.throwIfAborted();
        return await work({ signal });
      });
    } finally {
      this.#pendingChanges--;
      this.#parts.watcher.wake();
    }
  }

  /** Looking on ends with the set; anything else is a mistake of ours that must be seen. */
  #noteEnd(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.deps.log.error("Replicas are not watched any more", {
      error: messageOf(error),
      hint: "restart dewy",
    });
  }

  #onListed(instances: readonly Instance[]): number {
    const deployment = this.#deployment;
    const isPassing = deployment !== null && this.#pendingChanges === 0;
    return isPassing ? this.#passes.look(deployment, instances) : Number.POSITIVE_INFINITY;
  }
}

const noSteps: UpdateSteps = { switched: async () => undefined, commit: async () => undefined };
