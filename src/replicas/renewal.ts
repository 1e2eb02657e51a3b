import { DewyError, toDewyError } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import type { Deployment } from "./deployment.ts";
import type { EngineLink } from "./engine-link.ts";
import type { Members } from "./members.ts";
import { isStale } from "./reconcile.ts";
import type { Replica } from "./replica.ts";

const retryMs = 60_000;

interface RenewalDeps {
  readonly engine: Pick<EngineLink, "words">;
  readonly members: Members;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Log;
  /** Once for each failure, however often it is met. */
  readonly onFailed: (error: DewyError) => void;
}

interface Failed {
  readonly deployment: Deployment;
  readonly error: DewyError;
  /** On the clock's monotonic scale. */
  readonly notBeforeMs: number;
}

/** When replicas that were made with other options than the operator's now are to be made anew, and why they are not. */
export class Renewal {
  #failed: Failed | null = null;

  constructor(private readonly deps: RenewalDeps) {}

  isDue(deployment: Deployment): boolean {
    const failed = this.#failureOf(deployment);
    if (failed !== null && this.deps.clock.monotonicMs() < failed.notBeforeMs) return false;
    return this.deps.members.serving.some((replica) => isOld(replica, deployment));
  }

  /** Why replicas go on with other options than the operator's; null: none does, or it has not been tried yet. */
  trouble(deployment: Deployment | null): string | null {
    const failed = deployment === null ? null : this.#failureOf(deployment);
    if (failed === null) return null;
    // While a renewal is under way those it replaces stand by.
    const { inUse } = this.deps.members;
    return inUse.some((replica) => isOld(replica, failed.deployment)) ? failed.error.message : null;
  }

  /** Options that don't work don't work a minute later either; an engine may. */
  failed(deployment: Deployment, thrown: unknown): void {
    const { engine, clock, log, onFailed } = this.deps;
    const cause = toDewyError(thrown, "renew the replicas");
    const { code, hint, message, blame } = cause;
    const error = new DewyError(code, `${engine.words.plural} still run with other options: ${message}`, {
      hint,
      cause,
    });
    const notBeforeMs = blame === "environment" ? clock.monotonicMs() + retryMs : Number.POSITIVE_INFINITY;
    // Messages name copies, and so differ though the reason is one.
    const isKnown = this.#failureOf(deployment)?.error.code === code;
    this.#failed = { deployment, error, notBeforeMs };
    const attributes = { error: error.message, hint };
    if (isKnown) log.debug("Replicas still not renewed", attributes);
    else {
      log.error(records.runFailed, attributes);
      onFailed(error);
    }
  }

  #failureOf(deployment: Deployment): Failed | null {
    return this.#failed?.deployment === deployment ? this.#failed : null;
  }
}

function isOld({ instance }: Replica, deployment: Deployment): boolean {
  return instance !== null && isStale(instance, deployment);
}
