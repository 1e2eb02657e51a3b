import { toDewyError } from "../errors.ts";
import type { Clock } from "../util/time.ts";
import type { Deployment } from "./deployment.ts";
import type { Members } from "./members.ts";
import { isStale } from "./reconcile.ts";

const retryMs = 60_000;

/** When replicas that were made with other options than the operator's now are to be made anew. */
export class Renewal {
  #failed: { readonly deployment: Deployment; readonly notBeforeMs: number } | null = null;

  constructor(
    private readonly members: Members,
    private readonly clock: Pick<Clock, "monotonicMs">,
  ) {}

  isDue(deployment: Deployment): boolean {
    const failed = this.#failed?.deployment === deployment ? this.#failed : null;
    if (failed !== null && this.clock.monotonicMs() < failed.notBeforeMs) return false;
    return this.members.serving.some(({ container }) => container !== null && isStale(container, deployment));
  }

  /** Options that don't work don't work a minute later either; an engine may. */
  failed(deployment: Deployment, error: unknown): void {
    const isEnvironment = toDewyError(error, "renew the replicas").blame === "environment";
    const notBeforeMs = isEnvironment ? this.clock.monotonicMs() + retryMs : Number.POSITIVE_INFINITY;
    this.#failed = { deployment, notBeforeMs };
  }
}
