import type { DewyError } from "../errors.ts";
import type { HealthPolicy } from "../health/policy.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import { Checks } from "./checks.ts";
import type { Instance, ReplicaEngine } from "./engine.ts";
import { EngineLink } from "./engine-link.ts";
import { Members } from "./members.ts";
import { OutageGuard } from "./outage.ts";
import { Renewal } from "./renewal.ts";
import { Retirement } from "./retirement.ts";
import type { Rotation } from "./rotation.ts";
import { Starter } from "./start-replica.ts";
import { Tally } from "./tally.ts";
import { type ReplicaLoss, Upkeep } from "./upkeep.ts";
import { Watcher } from "./watcher.ts";

export interface ReplicaSetOptions {
  readonly app: string;
  /** The agent's directory. */
  readonly root: string;
  readonly replicas: number;
  /** How long a new one must stay up, and be well, before it serves in an update. */
  readonly minUptimeMs?: number;
  readonly health: HealthPolicy;
  readonly drainMs: number;
  readonly stopGraceMs: number;
  /** The copies outlive the agent. */
  readonly leaveRunning: boolean;
}

export interface ReplicaSetDeps {
  /** Stays the caller's. */
  readonly runtime: ReplicaEngine;
  readonly rotation: Rotation;
  readonly clock: Clock;
  readonly log: Log;
  readonly onReplicaLost: (loss: ReplicaLoss) => void;
  /** The operator's options can't be put into use: what ran goes on. Once for each failure. */
  readonly onRenewalFailed?: (error: DewyError) => void;
}

/** What a replica set is made of; each part does one thing, and all know the same members. */
export interface ReplicaSetParts {
  readonly engine: EngineLink;
  readonly members: Members;
  readonly outageGuard: OutageGuard;
  readonly tally: Tally;
  readonly starter: Starter;
  readonly retirement: Retirement;
  readonly checks: Checks;
  readonly upkeep: Upkeep;
  readonly renewal: Renewal;
  readonly watcher: Watcher;
}

/** `onListed`: see the watcher's. */
export function assemble(
  options: ReplicaSetOptions,
  deps: ReplicaSetDeps,
  onListed: (instances: readonly Instance[]) => number,
): ReplicaSetParts {
  const { runtime, rotation, clock, log, onReplicaLost } = deps;
  const { health, replicas, root } = options;
  const onChange = () => watcher.wake();
  const engine = new EngineLink(runtime, options, deps);
  const members = new Members(rotation, health.threshold, log);
  const { intervalMs, timeoutMs: restartMs } = health;
  const outageGuard = new OutageGuard({ engine, members, restartMs, clock });
  const tally = new Tally(clock);
  const starter = new Starter({ engine, members, tally, health, clock, log });
  const retirement = new Retirement(options, { engine, members, rotation, clock, log, onDone: onChange });
  const checks = new Checks({ engine, health, members, tally, clock, log, onChange });
  const upkeep = new Upkeep(
    { root, replicas, restartMs },
    { engine, members, tally, retirement, starter, checks, clock, log, onReplicaLost },
  );
  const renewal = new Renewal({
    engine,
    members,
    clock,
    log,
    onFailed: (error) => deps.onRenewalFailed?.(error),
  });
  const watcher: Watcher = new Watcher({ engine, members, intervalMs, clock, log, onListed });
  return { engine, members, outageGuard, tally, starter, retirement, checks, upkeep, renewal, watcher };
}
