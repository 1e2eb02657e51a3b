import { DewyError } from "../../errors.ts";
import { type HealthPolicy, healthcheckGraceMs, type Probed, unproven } from "../../health/policy.ts";
import type { Call } from "../../util/async.ts";
import { type Clock, formatDuration } from "../../util/time.ts";
import { probe } from "../health/probe.ts";
import { describeEnd, type Replica } from "./replica.ts";

const firstPauseMs = 50;
const maxPauseMs = 1000;
/** Without a port there is nothing to ask: what ends at once is seen at least. */
const settlesMs = 1000;

export interface WaitDeps {
  readonly clock: Clock;
  /** Brings what the engine knows of the replica up to date; fails as the engine does. */
  readonly look: (replica: Replica, c: Call) => Promise<void>;
  readonly onProbed: (result: Probed) => void;
}

export interface Waited {
  readonly last: Probed;
  readonly durationMs: number;
}

/**
 * Resolves when a replica that was just started is healthy. Its own fault is `start-failed` (it ended) or
 * `health-failed` (not healthy in time); somebody else's interference `engine-failed`.
 */
export async function untilHealthy(
  replica: Replica,
  policy: HealthPolicy,
  deps: WaitDeps,
  c: Call,
): Promise<Waited> {
  const startMs = deps.clock.monotonicMs();
  let pauseMs = firstPauseMs;
  for (let attempts = 1; ; attempts++) {
    await deps.look(replica, c);
    const last = await tryOnce(replica, policy, c);
    deps.onProbed(last);
    const nowMs = deps.clock.monotonicMs();
    const durationMs = nowMs - startMs;
    if (!last.ok) replica.health = { ...unproven(last.seen, nowMs), failures: attempts };
    const settled = replica.deployment.ports.length > 0 || durationMs >= settlesMs;
    if (last.ok && settled) return { last, durationMs };
    if (durationMs >= limitOf(replica, policy)) throw tooLate(replica, last, durationMs, attempts);
    await deps.clock.sleep(pauseMs, c.signal);
    pauseMs = Math.min(maxPauseMs, pauseMs * 2);
  }
}

async function tryOnce(replica: Replica, policy: HealthPolicy, c: Call): Promise<Probed> {
  const { container, addresses, deployment } = replica;
  switch (container?.status) {
    case "running": {
      const { ports, usesHealthcheck } = deployment;
      return await probe({ container, addresses, ports, usesHealthcheck }, policy, c);
    }
    case "restarting":
      return { ok: false, seen: `it ${describeEnd(container)} and is started again by the engine` };
    case "created":
    case "exited":
    case "dead":
      throw ended(replica, `it ${describeEnd(container)} before it was healthy`);
    case "paused":
    case "removing":
    case undefined:
      throw new DewyError(
        "engine-failed",
        `the new container ${describeEnd(container ?? null)} while it started`,
        {
          hint: "leave the containers that dewy manages to dewy",
        },
      );
  }
}

function limitOf({ container, deployment }: Replica, { path, timeoutMs }: HealthPolicy): number {
  const engineDecides = path === null && deployment.usesHealthcheck && container?.health === "starting";
  return engineDecides ? timeoutMs + healthcheckGraceMs : timeoutMs;
}

function tooLate(replica: Replica, last: Probed, durationMs: number, attempts: number): DewyError {
  if (replica.container?.status === "restarting") return ended(replica, `${last.seen}, again and again`);
  if (last.pending === true) {
    return new DewyError("engine-failed", "the engine has not run the image's HEALTHCHECK in time", {
      hint: "Podman needs systemd's timers for it; --health-path makes dewy check by itself",
    });
  }
  const seconds = formatDuration(Math.round(durationMs / 100) * 100);
  return new DewyError(
    "health-failed",
    `the new container was not healthy within ${seconds} (${attempts} attempts); last seen: ${last.seen}`,
    { hint: "look at what the app needs to start; --health-timeout gives it more time" },
  );
}

function ended(replica: Replica, what: string): DewyError {
  return new DewyError("start-failed", `the new container did not come up: ${what}`, {
    hint: `run ${replica.deployment.image.reference} by hand to see what it prints`,
  });
}
