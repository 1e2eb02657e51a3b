import { messageOf } from "../../errors.ts";
import { records } from "../../events.ts";
import type { Log } from "../../log.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import type { Container } from "../runtime.ts";
import { changeMs, detached, type EngineLink } from "./engine-link.ts";

/** An engine that hangs must not hold the end. */
const listMs = 10_000;
const removeMs = 30_000;

interface CleanUpDeps {
  readonly engine: EngineLink;
  readonly stopGraceMs: number;
  readonly log: Log;
  /** It has ended: cuts what connections it has left. */
  readonly onStopped: (id: string) => void;
}

/**
 * Stops and removes all containers of this app, all together; an abort of `c` ends the waiting, not the removal. What
 * can't be removed is one warning each: the next start finds it.
 */
export async function cleanUp(deps: CleanUpDeps, c: Call): Promise<void> {
  const { engine, log } = deps;
  log.info(records.cleaningUp);
  log.debug(records.managedStoppingAll);
  try {
    const { containers } = await engine.list(withDeadline(detached(), listMs));
    const cleaned = await Promise.all(containers.map((container) => clean(container, deps, c)));
    log.info(records.cleanedUp, { containers_cleaned: cleaned.filter((done) => done).length });
  } catch (error) {
    log.error("Managed containers not cleaned up", {
      error: messageOf(error),
      hint: "they run on; the next agent in this directory takes them over",
    });
  }
}

async function clean({ id, name }: Container, deps: CleanUpDeps, c: Call): Promise<boolean> {
  const { engine, log } = deps;
  try {
    log.info(records.managedStopping, { container: name });
    await stopInTime(id, deps, c);
    deps.onStopped(id);
    log.info(records.managedStopped, { container: name });
    log.info(records.managedRemoving, { container: name });
    await engine.bounded("remove the container", removeMs, detached(), (bounded) =>
      engine.runtime.remove(id, bounded),
    );
    log.info(records.managedRemoved, { container: name });
    return true;
  } catch (error) {
    log.warn("Managed container not removed", { container: name, error: messageOf(error) });
    return false;
  }
}

/** Nobody waits for the grace after a second signal: the removal kills what still runs. */
async function stopInTime(id: string, { engine, stopGraceMs }: CleanUpDeps, c: Call): Promise<void> {
  try {
    await engine.bounded("stop the container", stopGraceMs + changeMs, c, (bounded) =>
      engine.runtime.stop(id, stopGraceMs, bounded),
    );
  } catch (error) {
    if (!c.signal.aborted) throw error;
  }
}
