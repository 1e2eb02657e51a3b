import { DewyError, messageOf, toDewyError } from "../errors.ts";
import { records } from "../events.ts";
import type { HealthPolicy } from "../health/policy.ts";
import { duration, type Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { findRoute } from "./checks.ts";
import type { Deployment } from "./deployment.ts";
import { changeMs, detached, type EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import { probedUrl } from "./probe.ts";
import { Replica } from "./replica.ts";
import type { Tally } from "./tally.ts";
import { untilHealthy } from "./wait.ts";

const maxPortTries = 20;
/** An engine that hangs must not hold the agent's end: whoever looks over all of them tries again. */
const discardMs = 15_000;

export interface StarterDeps {
  readonly engine: EngineLink;
  readonly members: Members;
  readonly tally: Tally;
  readonly health: HealthPolicy;
  readonly clock: Clock;
  readonly log: Log;
}

/** Which one of how many, counted from 1, and what is asked of it. */
export interface Place {
  readonly ordinal: number;
  readonly total: number;
  /** It serves only after so long, however well it is before; 0: at once. */
  readonly minUptimeMs: number;
}

/** Makes replicas, from the release to a healthy copy: one that fails leaves nothing behind. */
export class Starter {
  constructor(private readonly deps: StarterDeps) {}

  /** Resolves with a healthy replica, in phase `starting`: in the rotation once the caller says so. */
  async start(deployment: Deployment, number: number, place: Place, c: Call): Promise<Replica> {
    const { log, engine } = this.deps;
    const { source, records: told } = engine.words;
    c.signal.throwIfAborted();
    for (const { appPort } of deployment.ports) {
      if (told.portMapping !== null) log.info(told.portMapping, { mapping: `127.0.0.1::${appPort}` });
    }
    log.info(told.starting, {
      [source]: deployment.image.reference,
      replica: place.ordinal,
      total: place.total,
    });
    for (let tries = 1; ; tries++) {
      try {
        return await this.#startOnce(deployment, number, place, c);
      } catch (error) {
        if (c.signal.aborted || !isPortTaken(error) || tries === maxPortTries) throw error;
        log.debug("Host port taken: trying another", { replica: place.ordinal, error: messageOf(error) });
      }
    }
  }

  async #startOnce(
    deployment: Deployment,
    number: number,
    { minUptimeMs }: Place,
    c: Call,
  ): Promise<Replica> {
    const { members, clock } = this.deps;
    const id = await this.#create(deployment, number, c);
    const replica = new Replica(id, deployment.nameOf(number), number, deployment, clock.monotonicMs());
    members.add(replica);
    try {
      await this.#bringUp(replica, minUptimeMs, c);
      return replica;
    } catch (error) {
      await this.discard(replica);
      throw error;
    }
  }

  /** Removes one that is not to serve (any more). What can't be removed now is found and removed later. */
  async discard(replica: Replica): Promise<void> {
    const { engine, members, tally, log } = this.deps;
    const { noun, records: told } = engine.words;
    tally.ended(replica);
    log.info(told.failedRemoved, { [noun]: replica.name });
    replica.phase = "leaving";
    members.sync();
    try {
      await engine.bounded(`remove the ${noun}`, discardMs, detached(), (bounded) =>
        engine.runtime.remove(replica.id, bounded),
      );
    } catch (error) {
      log.warn("Failed replica not removed yet", { [noun]: replica.name, error: messageOf(error) });
    }
    members.drop(replica);
  }

  async #create(deployment: Deployment, number: number, c: Call): Promise<string> {
    const { engine } = this.deps;
    const doing = `create the ${engine.words.noun}`;
    const create = () => engine.bounded(doing, changeMs, c, (bounded) => deployment.create(number, bounded));
    try {
      return await create();
    } catch (error) {
      c.signal.throwIfAborted();
      // A copy of ours that a crash or a lost answer left has the name.
      const isFreed = await this.#freeName(deployment.nameOf(number), c).catch(() => false);
      if (!isFreed) throw error;
    }
    return await create();
  }

  /** Whether the name was taken by a leftover of ours, which is gone now. */
  async #freeName(name: string, c: Call): Promise<boolean> {
    const { engine, members } = this.deps;
    const { instances } = await engine.list(c);
    const holder = instances.find((instance) => instance.name === name && !members.has(instance.id));
    if (holder === undefined) return false;
    await engine.bounded(`remove the ${engine.words.noun}`, changeMs, c, (bounded) =>
      engine.runtime.remove(holder.id, bounded),
    );
    return true;
  }

  async #bringUp(replica: Replica, minUptimeMs: number, c: Call): Promise<void> {
    const { engine, log, health, clock, tally } = this.deps;
    const { noun, records: told } = engine.words;
    try {
      await engine.bounded(`start the ${noun}`, changeMs, c, (bounded) =>
        engine.runtime.start(replica.id, bounded),
      );
      await this.#look(replica, c);
    } catch (error) {
      c.signal.throwIfAborted();
      const failed = { [noun]: replica.name, error: messageOf(error) };
      if (!isPortTaken(error)) log.warn(told.startFailed, failed);
      throw error;
    }
    this.#logStarted(replica);
    const url = probedUrl({ addresses: replica.addresses, ports: replica.deployment.ports }, health.path);
    log.info(told.healthChecking, { url });
    try {
      const look = (each: Replica, call: Call) => this.#look(each, call);
      const waited = await untilHealthy(
        replica,
        health,
        { engine: engine.runtime, minUptimeMs, clock, look, onProbed: (probed) => tally.checked(probed) },
        c,
      );
      await findRoute(replica, c);
      replica.health = { kind: "well", failures: 0, seen: waited.last.seen, sinceMs: clock.monotonicMs() };
      log.info(records.healthPassed, {
        url,
        status: waited.last.status,
        duration: duration(waited.durationMs),
      });
    } catch (error) {
      c.signal.throwIfAborted();
      const failure = toDewyError(error, `check the ${noun}'s health`);
      if (failure.code === "start-failed") {
        log.warn(told.startFailed, { [noun]: replica.name, error: failure.message });
      } else {
        log.warn(records.healthFailed, { error: failure.message, attempts: replica.health.failures, url });
      }
      throw failure;
    }
  }

  async #look(replica: Replica, c: Call): Promise<void> {
    const { instance, askedMs, info } = await this.deps.engine.inspect(replica.id, c);
    replica.see(instance, askedMs, info);
  }

  #logStarted(replica: Replica): void {
    const { log, engine } = this.deps;
    const { noun, records: told } = engine.words;
    const published = replica.instance?.ports ?? [];
    const [first] = replica.deployment.ports;
    const mapped = published.find(({ appPort }) => appPort === first?.appPort);
    log.info(told.started, { [noun]: replica.name, mapped_port: mapped?.hostPort });
    for (const { appPort, hostPort } of told.portMapped === null ? [] : published) {
      log.info(told.portMapped ?? "", { [`${noun}_port`]: appPort, host_port: hostPort });
    }
  }
}

/**
 * Engines choose host ports from the range that this host's own connections use, or that another engine chose from;
 * Docker finds out when it starts a container, Podman keeps what it chose when it created it. A new one gets another.
 */
function isPortTaken(error: unknown): boolean {
  const isEngines = error instanceof DewyError && error.code === "engine-failed";
  return isEngines && /address already in use|port is already allocated/i.test(error.message);
}
