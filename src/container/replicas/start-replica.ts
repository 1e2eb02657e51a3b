import { DewyError, messageOf, toDewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { HealthPolicy } from "../../health/policy.ts";
import { duration, type Log } from "../../log.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Deployment } from "../deployment.ts";
import { probedUrl } from "../health/probe.ts";
import type { ContainerSpec } from "../runtime.ts";
import { findRoute } from "./checks.ts";
import { changeMs, detached, type EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import { Replica } from "./replica.ts";
import type { Tally } from "./tally.ts";
import { untilHealthy } from "./wait.ts";

const maxPortTries = 20;
/** An engine that hangs must not hold the agent's end: whoever looks over all containers tries again. */
const discardMs = 15_000;

export interface StarterDeps {
  readonly engine: EngineLink;
  readonly members: Members;
  readonly tally: Tally;
  readonly health: HealthPolicy;
  readonly clock: Clock;
  readonly log: Log;
}

/** Which one of how many, counted from 1, for people. */
export interface Place {
  readonly ordinal: number;
  readonly total: number;
}

/** Makes replicas, from the image to a healthy container: one that fails leaves nothing behind. */
export class Starter {
  constructor(private readonly deps: StarterDeps) {}

  /** Resolves with a healthy replica, in phase `starting`: in the rotation once the caller says so. */
  async start(deployment: Deployment, number: number, place: Place, c: Call): Promise<Replica> {
    const { log } = this.deps;
    c.signal.throwIfAborted();
    for (const { containerPort } of deployment.ports) {
      log.info(records.portMapping, { mapping: `127.0.0.1::${containerPort}` });
    }
    log.info(records.containerStarting, {
      image: deployment.image.reference,
      replica: place.ordinal,
      total: place.total,
    });
    for (let tries = 1; ; tries++) {
      try {
        return await this.#startOnce(deployment, number, c);
      } catch (error) {
        if (c.signal.aborted || !isPortTaken(error) || tries === maxPortTries) throw error;
        log.debug("Host port taken: trying another", { replica: place.ordinal, error: messageOf(error) });
      }
    }
  }

  async #startOnce(deployment: Deployment, number: number, c: Call): Promise<Replica> {
    const { members, clock } = this.deps;
    const spec = await this.#specOf(deployment, number, c);
    const id = await this.#create(spec, c);
    const replica = new Replica(id, spec.name, number, deployment, clock.monotonicMs());
    members.add(replica);
    try {
      await this.#bringUp(replica, c);
      return replica;
    } catch (error) {
      await this.discard(replica);
      throw error;
    }
  }

  /** Removes one that is not to serve (any more). What can't be removed now is found and removed later. */
  async discard(replica: Replica): Promise<void> {
    const { engine, members, tally, log } = this.deps;
    tally.ended(replica);
    log.info(records.failedRemoved, { container: replica.name });
    replica.phase = "leaving";
    members.sync();
    try {
      await engine.bounded("remove the container", discardMs, detached(), (bounded) =>
        engine.runtime.remove(replica.id, bounded),
      );
    } catch (error) {
      log.warn("Failed container not removed yet", { container: replica.name, error: messageOf(error) });
    }
    members.drop(replica);
  }

  /** A name reads better than an id, but it may have come to mean another image since. */
  async #specOf({ image, makeSpec }: Deployment, number: number, c: Call): Promise<ContainerSpec> {
    const { engine } = this.deps;
    const spec = makeSpec(number);
    const named = await engine.bounded("look for the image", changeMs, c, (bounded) =>
      engine.runtime.image(image.reference, bounded),
    );
    if (named?.id === image.id) return spec;
    return { ...spec, body: { ...spec.body, Image: image.id } };
  }

  async #create(spec: ContainerSpec, c: Call): Promise<string> {
    const { engine } = this.deps;
    const create = () =>
      engine.bounded("create the container", changeMs, c, (bounded) => engine.runtime.create(spec, bounded));
    try {
      return await create();
    } catch (error) {
      c.signal.throwIfAborted();
      // A container of ours that a crash or a lost answer left has the name.
      const isFreed = await this.#freeName(spec.name, c).catch(() => false);
      if (!isFreed) throw error;
    }
    return await create();
  }

  /** Whether the name was taken by a leftover of ours, which is gone now. */
  async #freeName(name: string, c: Call): Promise<boolean> {
    const { engine, members } = this.deps;
    const { containers } = await engine.list(c);
    const holder = containers.find((container) => container.name === name && !members.has(container.id));
    if (holder === undefined) return false;
    await engine.bounded("remove the container", changeMs, c, (bounded) =>
      engine.runtime.remove(holder.id, bounded),
    );
    return true;
  }

  async #bringUp(replica: Replica, c: Call): Promise<void> {
    const { engine, log, health, clock, tally } = this.deps;
    try {
      await engine.bounded("start the container", changeMs, c, (bounded) =>
        engine.runtime.start(replica.id, bounded),
      );
      await this.#look(replica, c);
    } catch (error) {
      c.signal.throwIfAborted();
      const failed = { container: replica.name, error: messageOf(error) };
      if (!isPortTaken(error)) log.warn(records.containerStartFailed, failed);
      throw error;
    }
    this.#logStarted(replica);
    const url = probedUrl({ addresses: replica.addresses, ports: replica.deployment.ports }, health.path);
    log.info(records.healthChecking, { url });
    try {
      const look = (each: Replica, call: Call) => this.#look(each, call);
      const waited = await untilHealthy(
        replica,
        health,
        { clock, look, onProbed: (probed) => tally.checked(probed) },
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
      const failure = toDewyError(error, "check the container's health");
      if (failure.code === "start-failed") {
        log.warn(records.containerStartFailed, { container: replica.name, error: failure.message });
      } else {
        log.warn(records.healthFailed, { error: failure.message, attempts: replica.health.failures, url });
      }
      throw failure;
    }
  }

  async #look(replica: Replica, c: Call): Promise<void> {
    const { container, askedMs, engine } = await this.deps.engine.inspect(replica.id, c);
    replica.see(container, askedMs, engine);
  }

  #logStarted(replica: Replica): void {
    const published = replica.container?.ports ?? [];
    const [first] = replica.deployment.ports;
    const mapped = published.find(({ containerPort }) => containerPort === first?.containerPort);
    this.deps.log.info(records.containerStarted, { container: replica.name, mapped_port: mapped?.hostPort });
    for (const { containerPort, hostPort } of published) {
      this.deps.log.info(records.portMapped, { container_port: containerPort, host_port: hostPort });
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
