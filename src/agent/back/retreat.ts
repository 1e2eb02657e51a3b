import { records } from "../../events.ts";
import type { Registry } from "../../registry/registry.ts";
import type { Call } from "../../util/async.ts";
import { keptErrand } from "../deploy/errand.ts";
import type { Rollout, RolloutDeps } from "../deploy/rollout.ts";
import { type AppFailure, type CrashLoop, Deaths, reactTo } from "./going-back.ts";

const mostTries = 3;

/** Leaves a release that fails after its deploy for the good one before it. */
export class Retreat {
  readonly #deaths = new Deaths();

  constructor(
    private readonly deps: RolloutDeps & { readonly registry: Registry; readonly crashLoop: CrashLoop },
    private readonly rollout: Rollout,
  ) {}

  /** Decides at once, and remembers it: whoever dies before it is done, the next agent does it. */
  decide(failure: AppFailure): boolean {
    const { state, clock, log, crashLoop: loop, notes } = this.deps;
    const { current, retreat } = state.state;
    notes.appFailed(failure.reason);
    if (retreat !== null && retreat.release === failure.release) return true;
    const isDeath = failure.kind === "crashed" && failure.release === current?.release;
    const deaths = isDeath ? this.#deaths.count(failure.release, clock.monotonicMs(), loop) : 0;
    const now = clock.now();
    const reaction = reactTo(failure, state.state, { now, deaths, loop });
    if (reaction.kind === "stay") return false;
    const { to, reason } = reaction;
    log.warn(records.goingBack, { tag: to.tag, from: current?.tag, error: reason });
    state.learn({ retreat: { release: failure.release, reason, at: now.toISOString(), tries: 0 } });
    return true;
  }

  get isDue(): boolean {
    return this.deps.state.state.retreat !== null;
  }

  /** What was decided is done, unless it is beside the point by now. Rejects only when `c` aborts. */
  async run(c: Call): Promise<void> {
    const { state, log } = this.deps;
    const { retreat, current, previous } = state.state;
    if (retreat === null) return;
    if (current?.release !== retreat.release || previous === null) {
      state.learn({ retreat: null });
      return;
    }
    const { reason } = retreat;
    const tries = retreat.tries + 1;
    state.learn({ retreat: { ...retreat, tries } });
    const errand = keptErrand(previous, { ...this.deps, state: state.state }, { origin: "retreat", reason });
    const outcome = await this.rollout.run(errand, c);
    if (outcome.kind !== "failed") return;
    const isItsFault = outcome.failure.blame === "release";
    if (!isItsFault && tries < mostTries) return;
    log.warn("Not gone back: the release before does not work either", { tag: previous.tag });
    state.learn({ retreat: null, soak: null });
  }
}
