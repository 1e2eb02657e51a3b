import { type Health, unproven } from "../health/policy.ts";
import type { Deployment } from "./deployment.ts";
import type { EngineInfo, Instance } from "./engine.ts";
import { directAddresses, joinAddresses, publishedAddresses } from "./ports.ts";
import type { ReplicaAddresses } from "./rotation.ts";

/**
 * `starting`: being made, until it is healthy; `serving`: in the rotation as long as it is well; `standby`: out of
 * it while the update that replaces it may still fail; `leaving`: drains, is stopped and removed.
 */
export type Phase = "starting" | "serving" | "standby" | "leaving";

/** One copy of the app, as dewy knows it. */
export class Replica {
  phase: Phase = "starting";
  health: Health;
  #instance: Instance | null = null;
  #published: ReplicaAddresses = new Map();
  #direct: ReplicaAddresses = new Map();
  /** Of the direct addresses that were found to be reachable. */
  #reached: string | null = null;
  #seenMs: number;
  #runsSince: string | null = null;
  /** Since when it has not been running, on the clock's monotonic scale; null: it runs. */
  #awayMs: number | null = null;

  /** `knownMs`: a list of copies that was asked for earlier may not hold it. */
  constructor(
    readonly id: string,
    readonly name: string,
    readonly number: number,
    readonly deployment: Deployment,
    knownMs: number,
  ) {
    this.#seenMs = knownMs;
    this.health = unproven("not checked yet", knownMs);
  }

  /** As last seen; null: not yet, or it is gone. */
  get instance(): Instance | null {
    return this.#instance;
  }

  /** For people and checks: the published ones first. */
  get addresses(): ReplicaAddresses {
    return joinAddresses(this.#published, this.#direct);
  }

  /** On the copy's own network. */
  get direct(): ReplicaAddresses {
    return this.#direct;
  }

  /**
   * As the rotation is to try them. Where the direct ones are reached it is those alone: Docker's userland proxy
   * accepts for a dead app too, and what it accepts is lost.
   */
  get route(): ReplicaAddresses {
    return this.#reached === keyOf(this.#direct) ? this.#direct : this.addresses;
  }

  /** What was found out of some direct addresses. */
  setReached(direct: ReplicaAddresses, isReached: boolean): void {
    this.#reached = isReached ? keyOf(direct) : null;
  }

  get isRunning(): boolean {
    return this.#instance?.status === "running";
  }

  /** Since when the engine has not had it running, on the clock's monotonic scale; null: it runs. */
  get awayMs(): number | null {
    return this.#awayMs;
  }

  /** It runs and has an address for each port. */
  get isReachable(): boolean {
    return this.isRunning && [...this.addresses.values()].every((list) => list.length > 0);
  }

  /** What the engine said when it was asked at `askedMs`; answers that were overtaken by a later one don't count. */
  see(instance: Instance | null, askedMs: number, info: Pick<EngineInfo, "rootless">): void {
    if (askedMs < this.#seenMs) return;
    this.#seenMs = askedMs;
    this.#instance = instance;
    if (!this.isRunning || instance === null) {
      this.#awayMs ??= askedMs;
      return;
    }
    this.#awayMs = null;
    this.#published = publishedAddresses(instance, this.deployment.ports);
    this.#direct = directAddresses(instance, this.deployment.ports, info);
    const runsSince = `${instance.startedAt?.getTime()} ${instance.restartCount}`;
    // What was true of the process before says nothing of the one that the engine has started since.
    if (this.#runsSince !== null && this.#runsSince !== runsSince) {
      this.health = unproven("started again by the engine, not checked yet", askedMs);
    }
    this.#runsSince = runsSince;
  }
}

function keyOf(addresses: ReplicaAddresses): string {
  return JSON.stringify([...addresses]);
}

/** Why a copy does not run, for people; null: it does. */
export function describeEnd(instance: Instance | null): string {
  if (instance === null) return "was removed";
  const { status, exitCode, oomKilled, error } = instance;
  const because = error === "" ? "" : `: ${error}`;
  if (oomKilled) return `ran out of memory and was killed${because}`;
  switch (status) {
    case "exited":
    case "dead":
    case "restarting":
      return `exited with code ${exitCode ?? "unknown"}${because}`;
    case "paused":
      return "was paused";
    case "removing":
      return "is being removed";
    case "created":
      return `did not start${because}`;
    case "running":
      return "runs";
  }
}
