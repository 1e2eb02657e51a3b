import { messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { abortable, type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { drain } from "./drain.ts";
import type { Instance } from "./engine.ts";
import { changeMs, detached, type EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import type { Retirement, RetirementOptions } from "./retirement.ts";
import type { Rotation } from "./rotation.ts";

/** An engine that hangs must not hold the end. */
const listMs = 10_000;
const removeMs = 30_000;

interface EndDeps {
  readonly engine: EngineLink;
  readonly members: Pick<Members, "all">;
  readonly retirement: Retirement;
  readonly rotation: Rotation;
  readonly clock: Clock;
  readonly log: Log;
}

/** What connections there are may end within `drainMs`, then all copies go; an abort of `c` ends all waiting. */
export async function endAll(
  { drainMs, stopGraceMs }: RetirementOptions,
  deps: EndDeps,
  c: Call,
): Promise<void> {
  const ids = deps.members.all.map(({ id }) => id);
  // An abort ends the waiting like the time does.
  await drain(ids, drainMs, deps, c).catch(() => undefined);
  // A second signal ends the waiting: all that is left is removed below.
  await abortable(deps.retirement.abandon(), c.signal).catch(() => undefined);
  const onStopped = (id: string) => deps.rotation.drop(id);
  await cleanUp({ engine: deps.engine, stopGraceMs, log: deps.log, onStopped }, c);
}

interface CleanUpDeps {
  readonly engine: EngineLink;
  readonly stopGraceMs: number;
  readonly log: Log;
  /** It has ended: cuts what connections it has left. */
  readonly onStopped: (id: string) => void;
}

/**
 * Stops and removes all copies of this app, all together; an abort of `c` ends the waiting, not the removal. What
 * can't be removed is one warning each: the next start finds it.
 */
async function cleanUp(deps: CleanUpDeps, c: Call): Promise<void> {
  const { engine, log } = deps;
  const { plural, records } = engine.words;
  log.info(records.cleaningUp);
  log.debug(records.managedStoppingAll);
  try {
    const { instances } = await engine.list(withDeadline(detached(), listMs));
    const cleaned = await Promise.all(instances.map((instance) => clean(instance, deps, c)));
    log.info(records.cleanedUp, { [`${plural}_cleaned`]: cleaned.filter((done) => done).length });
  } catch (error) {
    log.error("Replicas not cleaned up", {
      error: messageOf(error),
      hint: "they run on; the next agent in this directory takes them over",
    });
  }
}

async function clean({ id, name }: Instance, deps: CleanUpDeps, c: Call): Promise<boolean> {
  const { engine, log } = deps;
  const { noun, records } = engine.words;
  try {
    log.info(records.managedStopping, { [noun]: name });
    await stopInTime(id, deps, c);
    deps.onStopped(id);
    log.info(records.managedStopped, { [noun]: name });
    log.info(records.managedRemoving, { [noun]: name });
    await engine.bounded(`remove the ${noun}`, removeMs, detached(), (bounded) =>
      engine.runtime.remove(id, bounded),
    );
    log.info(records.managedRemoved, { [noun]: name });
    return true;
  } catch (error) {
    log.warn("Replica not removed", { [noun]: name, error: messageOf(error) });
    return false;
  }
}

/** Nobody waits for the grace after a second signal: the removal kills what still runs. */
async function stopInTime(id: string, { engine, stopGraceMs }: CleanUpDeps, c: Call): Promise<void> {
  try {
    await engine.bounded(`stop the ${engine.words.noun}`, stopGraceMs + changeMs, c, (bounded) =>
      engine.runtime.stop(id, stopGraceMs, bounded),
    );
  } catch (error) {
    if (!c.signal.aborted) throw error;
  }
}
