import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { abortable, type Call, type Mutex } from "../util/async.ts";
import type { Deployment } from "./deployment.ts";
import type { Instance } from "./engine.ts";
import type { ReplicaSetParts } from "./parts.ts";

interface PassesDeps {
  readonly parts: Pick<
    ReplicaSetParts,
    "engine" | "members" | "outageGuard" | "retirement" | "upkeep" | "renewal" | "watcher"
  >;
  /** A pass has its turn among the changes. */
  readonly changes: Mutex;
  /** Aborts when the set is closed. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** All replicas anew, as an update replaces them. */
  readonly roll: (deployment: Deployment, c: Call) => Promise<unknown>;
}

/** One that is under way. */
interface Pass {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Upkeep by itself: one pass whenever a look shows that something is to be done. */
export class Passes {
  #current: Pass | null = null;

  constructor(private readonly deps: PassesDeps) {}

  /** At what the engine listed; answers after how long to look again at the latest. */
  look(deployment: Deployment, instances: readonly Instance[]): number {
    if (this.#current !== null) return Number.POSITIVE_INFINITY;
    const { renewal, upkeep } = this.deps.parts;
    const idleMs = renewal.isDue(deployment) ? 0 : upkeep.look(deployment, instances);
    if (idleMs > 0) return idleMs;
    this.#start(deployment);
    return Number.POSITIVE_INFINITY;
  }

  /** A change comes before upkeep: a pass that is waiting for a replica to get healthy is broken off. */
  breakOff(): void {
    this.#current?.stop.abort();
  }

  /** What brings the service back is not broken off for a new version, whose checks may take longer. */
  async quiet(c: Call): Promise<void> {
    const { retirement, members } = this.deps.parts;
    await retirement.done(c);
    if (this.#current === null || members.inRotation > 0) return;
    await abortable(this.#current.done, c.signal);
  }

  /** One pass, for whoever has its turn. Never fails: what could not be done now is found again at the next look. */
  async keepUp(deployment: Deployment, c: Call): Promise<void> {
    const { upkeep, renewal, engine } = this.deps.parts;
    try {
      await upkeep.pass(deployment, c);
      if (renewal.isDue(deployment)) await this.#renew(deployment, c);
    } catch (error) {
      if (c.signal.aborted || engine.trouble !== null) return;
      this.deps.log.warn("Replicas not brought to what they should be", { error: messageOf(error) });
    }
  }

  #start(deployment: Deployment): void {
    const { changes, signal, parts } = this.deps;
    const stop = new AbortController();
    const done = changes.run(async () => {
      await this.keepUp(deployment, { signal: AbortSignal.any([stop.signal, signal]) });
      this.#current = null;
      parts.watcher.wake();
    });
    this.#current = { stop, done };
  }

  /**
   * Not broken off when the last replica with other options ends: what upkeep would start instead is the same, later.
   */
  async #renew(deployment: Deployment, c: Call): Promise<void> {
    const { renewal, outageGuard } = this.deps.parts;
    try {
      await this.deps.roll(deployment, c);
    } catch (error) {
      // With nobody left who goes on with other options it is upkeep that tries the new ones, and tells of it.
      if (!c.signal.aborted && !outageGuard.isOutage) renewal.failed(deployment, error);
    }
  }
}
