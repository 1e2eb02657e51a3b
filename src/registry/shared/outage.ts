import type { DewyError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Clock } from "../../util/time.ts";

export type Step = "read" | "write";

/** Whether the shared cache answers, told once when it ceases to and once when it does again. */
export class Outage {
  #down: { readonly step: Step; readonly sinceMs: number } | null = null;

  constructor(
    private readonly registry: string,
    private readonly deps: { readonly clock: Clock; readonly log: Log },
  ) {}

  /** On the monotonic clock; null: it answers. */
  get sinceMs(): number | null {
    return this.#down?.sinceMs ?? null;
  }

  failed(step: Step, failure: DewyError): void {
    if (this.#down !== null) return;
    this.#down = { step, sinceMs: this.deps.clock.monotonicMs() };
    this.deps.log.warn("Shared cache failed; asking the registry from here", {
      error: failure.message,
      hint: failure.hint,
      registry: this.registry,
    });
  }

  /** A cache that can be read still can't be written to: only the step that failed shows that it is well again. */
  succeeded(step: Step): void {
    if (this.#down?.step !== step) return;
    this.#down = null;
    this.deps.log.info("Shared cache answers again", { registry: this.registry });
  }
}
