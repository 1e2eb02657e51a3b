import { records } from "../events.ts";
import { type HealthPolicy, nextHealth } from "../health/policy.ts";
import type { Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import { probe, probedUrl, targetOf } from "./probe.ts";
import { reachesDirectly } from "./reach.ts";
import type { Replica } from "./replica.ts";
import type { Tally } from "./tally.ts";

const unprovenPauseMs = 250;

interface CheckDeps {
  readonly engine: Pick<EngineLink, "runtime" | "words">;
  readonly health: HealthPolicy;
  readonly members: Members;
  readonly tally: Pick<Tally, "checked">;
  readonly clock: Clock;
  readonly log: Log;
  /** A replica has fallen ill, or is well again. */
  readonly onChange: () => void;
}

/** Finds out whether a replica that serves can be reached directly. */
export async function findRoute(replica: Replica, c: Call): Promise<void> {
  const { direct } = replica;
  replica.setReached(direct, await reachesDirectly(direct, c));
}

/** The checks that go on while replicas serve, or stand by to serve again. */
export class Checks {
  constructor(private readonly deps: CheckDeps) {}

  /** Until `c` aborts. */
  async run(c: Call): Promise<void> {
    const { members, clock, health } = this.deps;
    for (;;) {
      await Promise.all(members.all.map((replica) => this.check(replica, c)));
      const isHasty = members.serving.some((replica) => replica.health.kind === "unproven");
      await clock.sleep(isHasty ? Math.min(unprovenPauseMs, health.intervalMs) : health.intervalMs, c.signal);
    }
  }

  /** One check of one replica, with what follows for the rotation. */
  async check(replica: Replica, c: Call): Promise<void> {
    const { instance, phase, health: before } = replica;
    if ((phase !== "serving" && phase !== "standby") || instance === null || !replica.isRunning) return;
    const { engine, health: policy, clock, members, tally } = this.deps;
    const result = await probe(targetOf(replica, instance, engine.runtime), policy, c);
    tally.checked(result);
    if (result.ok) await findRoute(replica, c);
    // It was restarted meanwhile: what was seen is of the process before.
    if (replica.health !== before || !replica.isRunning) return;
    replica.health = nextHealth(before, result, policy, clock.monotonicMs());
    members.sync();
    if (result.unasked === true && replica.health.seen !== before.seen) this.#noteUnasked(replica);
    if (replica.health.kind === before.kind) return;
    this.#note(replica, result.status);
    this.deps.onChange();
  }

  /** Once for each reason: it stays in rotation, or out of it, as it was. */
  #noteUnasked({ name, health }: Replica): void {
    const { engine, log } = this.deps;
    log.warn(records.healthUnknown, { [engine.words.noun]: name, error: health.seen });
  }

  #note({ name, health, addresses, deployment }: Replica, status: number | undefined): void {
    const { kind, seen, failures } = health;
    const { engine, log, health: policy } = this.deps;
    const { noun } = engine.words;
    const url = probedUrl({ addresses, ports: deployment.ports }, policy.path);
    if (kind === "well") log.info(records.healthPassed, { [noun]: name, url, status });
    else log.warn(records.healthFailed, { [noun]: name, url, error: seen, attempts: failures });
  }
}
