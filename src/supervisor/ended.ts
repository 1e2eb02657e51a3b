import type { Clock } from "../util/time.ts";
import type { RecordedGeneration } from "./record.ts";

/** An end that comes of a stop is told by one within 250 ms: before that nobody acts on it. */
const actsWithinMs = 500;

/** Runs of the app that ended by themselves. Until that has been acted on, a successor is to do so. */
export class Ended {
  readonly #runs: Set<RecordedGeneration>;

  /** `known`: of a predecessor. */
  constructor(
    known: readonly RecordedGeneration[],
    private readonly deps: { readonly clock: Clock; readonly onForgotten: () => void },
  ) {
    this.#runs = new Set(known);
  }

  get all(): readonly RecordedGeneration[] {
    return [...this.#runs];
  }

  add(run: RecordedGeneration): void {
    this.#runs.add(run);
  }

  /** Whoever was to be told of this release's has been, and acts in time; nobody asks about another's. */
  forget(release: string | null, signal: AbortSignal): void {
    for (const run of this.all) if (run.release !== release) this.#runs.delete(run);
    const told = this.all;
    if (told.length === 0) return;
    const forget = () => {
      for (const run of told) this.#runs.delete(run);
      this.deps.onForgotten();
    };
    void this.deps.clock.sleep(actsWithinMs, signal).then(forget, () => undefined);
  }
}
