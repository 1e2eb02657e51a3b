import { DewyError } from "../errors.ts";
import { type HealthPolicy, healthcheckGraceMs, type Probed, unproven } from "../health/policy.ts";
import { healthUnknown } from "../health/unknown.ts";
import type { Call } from "../util/async.ts";
import { type Clock, formatDuration } from "../util/time.ts";
import { type ProbeTarget, probe, targetOf } from "./probe.ts";
import { describeEnd, type Replica } from "./replica.ts";
import type { ReplicaWords } from "./words.ts";

const firstPauseMs = 50;
const maxPauseMs = 1000;
/** A last try gets a fair chance, however late it comes. */
const minTryMs = 500;
/** Without a port there is nothing to ask: what ends at once is seen at least. */
const portlessUptimeMs = 1000;

export interface WaitDeps {
  /** How long it must have been up, too. */
  readonly minUptimeMs: number;
  readonly engine: ProbeTarget["engine"];
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
 * `health-failed` (not healthy in time); somebody else's interference `engine-failed`, a lack of this host's own
 * `health-unknown`.
 */
export async function untilHealthy(
  replica: Replica,
  policy: HealthPolicy,
  deps: WaitDeps,
  c: Call,
): Promise<Waited> {
  const startMs = deps.clock.monotonicMs();
  const leastMs =
    replica.deployment.ports.length > 0 ? deps.minUptimeMs : Math.max(deps.minUptimeMs, portlessUptimeMs);
  let pauseMs = firstPauseMs;
  for (let attempts = 1; ; attempts++) {
    await deps.look(replica, c);
    const deadlineMs = startMs + limitOf(replica, policy);
    const timeoutMs = Math.ceil(Math.max(minTryMs, deadlineMs - deps.clock.monotonicMs()));
    const last = await tryOnce(replica, { ...policy, timeoutMs }, deps, c);
    deps.onProbed(last);
    const nowMs = deps.clock.monotonicMs();
    const durationMs = nowMs - startMs;
    if (!last.ok) replica.health = { ...unproven(last.seen, nowMs), failures: attempts };
    if (last.ok && durationMs >= leastMs) return { last, durationMs };
    if (!last.ok && nowMs >= deadlineMs)
      throw tooLate(replica, last, deps.engine.words, { durationMs, attempts });
    const untilMs = last.ok ? startMs + leastMs : deadlineMs;
    await deps.clock.sleep(Math.max(0, Math.min(pauseMs, untilMs - nowMs)), c.signal);
    pauseMs = Math.min(maxPauseMs, pauseMs * 2);
  }
}

async function tryOnce(replica: Replica, policy: HealthPolicy, deps: WaitDeps, c: Call): Promise<Probed> {
  const { instance } = replica;
  const { noun, plural } = deps.engine.words;
  switch (instance?.status) {
    case "running": {
      return await probe(targetOf(replica, instance, deps.engine), policy, c);
    }
    case "restarting":
      return { ok: false, seen: `it ${describeEnd(instance)} and is started again by the engine` };
    case "created":
    case "exited":
    case "dead":
      throw ended(replica, deps.engine.words, `it ${describeEnd(instance)} before it was healthy`);
    case "paused":
    case "removing":
    case undefined:
      throw new DewyError(
        "engine-failed",
        `the new ${noun} ${describeEnd(instance ?? null)} while it started`,
        {
          hint: `leave the ${plural} that dewy manages to dewy`,
        },
      );
  }
}

function limitOf({ instance, deployment }: Replica, { path, timeoutMs }: HealthPolicy): number {
  const engineDecides = path === null && deployment.usesHealthcheck && instance?.health === "starting";
  return engineDecides ? timeoutMs + healthcheckGraceMs : timeoutMs;
}

function tooLate(
  replica: Replica,
  last: Probed,
  words: ReplicaWords,
  { durationMs, attempts }: { durationMs: number; attempts: number },
): DewyError {
  if (replica.instance?.status === "restarting")
    return ended(replica, words, `${last.seen}, again and again`);
  if (last.pending === true) {
    return new DewyError("engine-failed", "the engine has not run the image's HEALTHCHECK in time", {
      hint: "Podman needs systemd's timers for it; --health-path makes dewy check by itself",
    });
  }
  if (last.unasked === true) return healthUnknown(words.noun, last.seen);
  const seconds = formatDuration(Math.round(durationMs / 100) * 100);
  return new DewyError(
    "health-failed",
    `the new ${words.noun} was not healthy within ${seconds} (${attempts} attempts); last seen: ${last.seen}`,
    { hint: "look at what the app needs to start; --health-timeout gives it more time" },
  );
}

function ended({ deployment }: Replica, { noun, whyItEnds }: ReplicaWords, what: string): DewyError {
  return new DewyError("start-failed", `the new ${noun} did not come up: ${what}`, {
    hint: whyItEnds(deployment.image.reference),
  });
}
