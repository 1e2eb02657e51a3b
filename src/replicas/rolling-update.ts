import { DewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Deployment } from "./deployment.ts";
import type { EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import { noneLeft } from "./outage.ts";
import { freeNumbers } from "./reconcile.ts";
import { describeEnd, type Replica } from "./replica.ts";
import type { Retirement } from "./retirement.ts";
import type { Starter } from "./start-replica.ts";
import type { ReplicaWords } from "./words.ts";

/** What an update lets the deploy do at its two turning points. */
export interface UpdateSteps {
  /** What runs is bad, and `next` was good before: nothing is waited for that can be done without. */
  readonly returning?: boolean;
  /** Only the new replicas get connections: the after hook's moment. `c` aborts when there are none any more. */
  switched(c: Call): Promise<void>;
  /** What is recorded becomes the new deployment. */
  commit(): Promise<void>;
}

interface UpdateDeps {
  readonly engine: EngineLink;
  readonly replicas: number;
  /** How long a new one must stay up before it serves. */
  readonly minUptimeMs: number;
  readonly members: Members;
  readonly starter: Starter;
  readonly retirement: Retirement;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * From one deployment to the next: all new replicas come into the rotation before the first old one leaves it, and
 * until `commit` the old ones are only taken out; going back, the first new one suffices. A failure before that leaves
 * everything as it was. Resolves with what ran before; the old replicas then drain and go in the background.
 */
export async function rollingUpdate(
  next: Deployment,
  steps: UpdateSteps,
  deps: UpdateDeps,
  c: Call,
): Promise<readonly Replica[]> {
  const { members, retirement, log, replicas } = deps;
  const { records } = deps.engine.words;
  const old = members.serving;
  const fresh: Replica[] = [];
  log.info(records.rollingStarted, { replicas });
  log.info(records.found, { count: old.length });
  try {
    const start = steps.returning === true ? startTogether : startAll;
    await start(next, { old, fresh }, deps, c);
    for (const replica of old) setPhase(replica, "standby", members);
    await steps.switched(c);
    requireWell(fresh, deps.engine.words, c);
    await steps.commit();
  } catch (error) {
    rollBack(old, fresh, deps);
    // Going back, what ran is bad, and may well have ended: that excuses nobody.
    throw steps.returning === true ? error : await culprit(error, old, deps, c);
  }
  for (const replica of old) retirement.retire(replica);
  log.debug(records.rollingDone, { [`new_${deps.engine.words.plural}`]: fresh.length });
  return old;
}

interface Generations {
  readonly old: readonly Replica[];
  /** Those that have become healthy so far. */
  readonly fresh: Replica[];
}

async function startAll(next: Deployment, { fresh }: Generations, deps: UpdateDeps, c: Call): Promise<void> {
  const { members, starter, log, replicas, minUptimeMs, engine } = deps;
  const { noun, records } = engine.words;
  for (const [index, number] of freeNumbers(replicas, numbersOf(members.all, next)).entries()) {
    const replica = await starter.start(
      next,
      number,
      { ordinal: index + 1, total: replicas, minUptimeMs },
      c,
    );
    fresh.push(replica);
    setPhase(replica, "serving", members);
    log.info(records.inRotation, { [noun]: replica.name, backend_count: members.inRotation });
  }
  requireWell(fresh, deps.engine.words, c);
}

/**
 * All at once, and new connections leave the bad ones for the first that is healthy. One is enough to go on with: those
 * that are missing are made up for later.
 */
async function startTogether(
  next: Deployment,
  { old, fresh }: Generations,
  deps: UpdateDeps,
  c: Call,
): Promise<void> {
  const { members, starter, log, replicas, minUptimeMs, engine, clock } = deps;
  const { noun, records } = engine.words;
  const starts = freeNumbers(replicas, numbersOf(members.all, next)).map(async (number, index) => {
    const place = { ordinal: index + 1, total: replicas, minUptimeMs: 0 };
    const replica = await starter.start(next, number, place, c);
    fresh.push(replica);
    setPhase(replica, "serving", members);
    for (const bad of old) setPhase(bad, "standby", members);
    log.info(records.inRotation, { [noun]: replica.name, backend_count: members.inRotation });
  });
  const results = await Promise.allSettled(starts);
  c.signal.throwIfAborted();
  const failure = results.find((result) => result.status === "rejected");
  if (fresh.length === 0 && failure !== undefined) throw failure.reason;
  await clock.sleep(minUptimeMs, c.signal);
}

/** What takes old and new down together is no fault of the release. */
async function culprit(
  error: unknown,
  old: readonly Replica[],
  { engine, members }: UpdateDeps,
  c: Call,
): Promise<unknown> {
  if (!(error instanceof DewyError) || error.blame !== "release" || old.length === 0) return error;
  try {
    const listed = await engine.list(c);
    members.observe(listed.instances, listed.askedMs, listed.info);
    if (old.some(({ isRunning }) => isRunning)) return error;
  } catch (failure) {
    return failure;
  }
  return noneLeft(old, engine.words, error);
}

/**
 * The old ones first, so that nobody is refused while the new ones go. Those have had connections: they drain as any
 * that leaves.
 */
function rollBack(old: readonly Replica[], fresh: readonly Replica[], deps: UpdateDeps): void {
  const { members, retirement, log, engine } = deps;
  const { noun, plural, records } = engine.words;
  log.info(records.rollingBackDeployment, { [plural]: fresh.length });
  log.debug(records.rollingBack, { [plural]: fresh.length });
  for (const replica of old) setPhase(replica, "serving", members);
  for (const replica of fresh) {
    log.info(records.failedRemoved, { [noun]: replica.name });
    retirement.retire(replica, replica.isRunning ? "drained" : "dead");
  }
}

/** A new replica that was healthy and is not any more is a failure of the release like one that never was. */
function requireWell(fresh: readonly Replica[], { noun, whyItEnds }: ReplicaWords, c: Call): void {
  c.signal.throwIfAborted();
  for (const { name, instance, health, isRunning, deployment } of fresh) {
    if (!isRunning) {
      const isItsOwn = instance !== null && instance.status !== "paused" && instance.status !== "removing";
      const code = isItsOwn ? "start-failed" : "engine-failed";
      throw new DewyError(code, `the new ${noun} ${name} ${describeEnd(instance)} after it was healthy`, {
        hint: whyItEnds(deployment.image.reference),
      });
    }
    if (health.kind === "well") continue;
    throw new DewyError("health-failed", `the new ${noun} ${name} fell ill: ${health.seen}`, {
      hint: "see why the app fails its checks",
    });
  }
}

function setPhase(replica: Replica, phase: "serving" | "standby", members: Members): void {
  replica.phase = phase;
  members.sync();
}

/** Taken by copies of the same deployment, whose names they are part of. */
export function numbersOf(replicas: readonly Replica[], { deployedAt }: Deployment): ReadonlySet<number> {
  const second = (date: Date) => Math.floor(date.getTime() / 1000);
  const alike = replicas.filter(({ deployment }) => second(deployment.deployedAt) === second(deployedAt));
  return new Set(alike.map(({ number }) => number));
}
