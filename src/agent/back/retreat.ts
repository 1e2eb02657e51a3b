import type { DewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { Registry } from "../../registry/registry.ts";
import type { PlacedRelease } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { retryDelayMs } from "../decide.ts";
import { keptErrand } from "../deploy/errand.ts";
import type { Rollout, RolloutDeps } from "../deploy/rollout.ts";
import type { Retreat as Decided } from "../state.ts";
import { type AppFailure, type CrashLoop, Deaths, reactTo } from "./going-back.ts";

/**
 * A host that shuts down, or systemd that stops the unit, ends the app and dewy at once, and dewy may hear of the app
 * first: a death counts when no stop has come by then.
 */
export const stopNoticeMs = 250;

const notGoneBack = {
  bad: "Not gone back: the release before does not work either",
  gone: "Not gone back: the release before is not to be had any more",
} as const;

/** Leaves a release that fails after its deploy for the good one before it. */
export class Retreat {
  readonly #deaths = new Deaths();
  /** A death that may have come of a stop. */
  #undecided: { readonly release: string; readonly decided: Promise<void> } | null = null;

  constructor(
    private readonly deps: RolloutDeps & { readonly registry: Registry; readonly crashLoop: CrashLoop },
    private readonly rollout: Rollout,
  ) {}

  /**
   * null: it stays. Otherwise resolves when the way back is decided and remembered, so that whoever dies before it is
   * done, the next agent does it; rejects when the agent's end comes first.
   */
  decide(failure: AppFailure, life: Call): Promise<void> | null {
    if (life.signal.aborted) return null;
    const { state, clock, crashLoop: loop, notes } = this.deps;
    const { release, reason, kind } = failure;
    notes.appFailed(reason);
    if (state.state.retreat?.release === release) return Promise.resolve();
    const isDeath = kind === "crashed" && release === state.state.current?.release;
    const deaths = isDeath ? this.#deaths.count(failure, clock.monotonicMs(), loop) : 0;
    if (this.#undecided?.release === release) return this.#undecided.decided;
    const now = clock.now();
    const reaction = reactTo(failure, state.state, { now, deaths, loop });
    if (reaction.kind === "stay") return null;
    const decided = { release, reason: reaction.reason, at: now.toISOString(), tries: 0 };
    if (isDeath) return this.#decideLater(decided, reaction.to, life);
    this.#decided(decided, reaction.to);
    return Promise.resolve();
  }

  #decideLater(decided: Decided, to: PlacedRelease, life: Call): Promise<void> {
    const { release } = decided;
    const later = this.deps.clock.sleep(stopNoticeMs, life.signal).then(() => {
      this.#undecided = null;
      this.#decided(decided, to);
    });
    this.#undecided = { release, decided: later };
    return later;
  }

  #decided(retreat: Decided, to: PlacedRelease): void {
    const { state, log } = this.deps;
    const { current } = state.state;
    // An order has put another release in its place.
    if (current?.release !== retreat.release) return;
    log.warn(records.goingBack, { tag: to.tag, from: current.tag, error: retreat.reason });
    state.learn({ retreat });
  }

  /**
   * What was decided is done, unless it is beside the point by now, or not due yet. Resolves to whether it was tried;
   * rejects only when `c` aborts.
   */
  async run(c: Call): Promise<boolean> {
    const { state, clock } = this.deps;
    const { retreat, current, previous } = state.state;
    if (retreat === null) return false;
    if (current?.release !== retreat.release || previous === null) {
      state.learn({ retreat: null });
      return false;
    }
    if (isBackingOff(retreat, clock.now())) return false;
    const { reason } = retreat;
    const errand = keptErrand(previous, { ...this.deps, state: state.state }, { origin: "retreat", reason });
    const outcome = await this.rollout.run(errand, c);
    if (outcome.kind === "failed") this.#failed(retreat, previous, outcome.failure);
    return true;
  }

  /** Where the host is at fault the bad release must not stay for that: it is left as soon as that is over. */
  #failed(retreat: Decided, to: PlacedRelease, failure: DewyError): void {
    const { state, clock, log } = this.deps;
    const isBad = failure.blame === "release";
    const isGone = failure.code === "not-found" && !failure.retryable;
    if (isBad || isGone) {
      log.warn(isBad ? notGoneBack.bad : notGoneBack.gone, { tag: to.tag });
      state.learn({ retreat: null, soak: null });
      return;
    }
    const tries = retreat.tries + 1;
    const delayMs = Math.max(retryDelayMs(tries), failure.retryAfterMs ?? 0);
    const nextTryAt = new Date(clock.now().getTime() + delayMs).toISOString();
    state.learn({ retreat: { ...retreat, tries, nextTryAt } });
  }
}

/** A clock that was set back must not make a wait of seconds one of years. */
function isBackingOff({ at, nextTryAt }: Decided, now: Date): boolean {
  return nextTryAt !== undefined && new Date(at) <= now && now < new Date(nextTryAt);
}
