import { DewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { Registry } from "../../registry/registry.ts";
import type { PlacedRelease } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { retryDelayMs } from "../decide.ts";
import { keptErrand, PublishedAgain } from "../deploy/errand.ts";
import type { Rollout, RolloutDeps } from "../deploy/rollout.ts";
import { isWithin } from "../span.ts";
import type { Retreat as Decided } from "../state.ts";
import { Calm } from "./calm.ts";
import { type AppFailure, type CrashLoop, Deaths, type Reaction, reactTo, wayBack } from "./going-back.ts";
import { type Blocked, strand } from "./stranded.ts";

/**
 * A host that shuts down, or systemd that stops the unit, ends the app and dewy at once, and dewy may hear of the app
 * first: a death counts when no stop has come by then.
 */
export const stopNoticeMs = 250;

/** What a failure of the app leads to. `strands`: people are told that its release should be left, and can't be. */
export type Way =
  | { readonly kind: "stays" | "strands" }
  /** `decided`: it is remembered, so that whoever dies before it is done, the next agent does it. */
  | { readonly kind: "back"; readonly decided: Promise<void> };

type Decision = Exclude<Reaction, { kind: "stay" }>;

const stays: Way = { kind: "stays" };
const strands: Way = { kind: "strands" };

/** Leaves a release that fails after its deploy for the good one before it. */
export class Retreat {
  readonly calm: Calm;
  readonly #deaths = new Deaths();
  /** A death that may have come of a stop. */
  #undecided: { readonly release: string; readonly way: Way } | null = null;

  constructor(
    private readonly deps: RolloutDeps & { readonly registry: Registry; readonly crashLoop: CrashLoop },
    private readonly rollout: Rollout,
  ) {
    this.calm = new Calm(deps.clock);
  }

  /** What follows from the failure; rejections of `decided` come of the agent's end alone. */
  decide(failure: AppFailure, life: Call): Way {
    if (life.signal.aborted) return stays;
    const { state, clock, crashLoop: loop, notes } = this.deps;
    const { release, reason, kind } = failure;
    notes.appFailed(reason);
    if (state.state.retreat?.release === release) return { kind: "back", decided: Promise.resolve() };
    const isDeath = kind === "crashed" && release === state.state.current?.release;
    const deaths = isDeath ? this.#deaths.count(failure, clock.monotonicMs(), loop) : 0;
    if (this.#undecided?.release === release) return this.#undecided.way;
    const reaction = reactTo(failure, state.state, { now: clock.now(), deaths, loop });
    if (isDeath) this.calm.end();
    if (reaction.kind === "stay") return stays;
    if (isDeath) return this.#decideLater(release, reaction, life);
    this.#decided(release, reaction, false);
    return reaction.kind === "strand" ? strands : { kind: "back", decided: Promise.resolve() };
  }

  #decideLater(release: string, reaction: Decision, life: Call): Way {
    const later = this.deps.clock.sleep(stopNoticeMs, life.signal).then(() => {
      this.#undecided = null;
      this.#decided(release, reaction, true);
    });
    if (reaction.kind === "strand") void later.catch(() => undefined);
    const way: Way = reaction.kind === "strand" ? strands : { kind: "back", decided: later };
    this.#undecided = { release, way };
    return way;
  }

  #decided(release: string, reaction: Decision, hasDied: boolean): void {
    const { state, log, clock } = this.deps;
    const { current } = state.state;
    // An order has put another release in its place.
    if (current?.release !== release) return;
    const { reason } = reaction;
    if (reaction.kind === "strand") {
      this.#blocked({ reason, hasDied }, reaction.why);
      return;
    }
    log.warn(records.goingBack, { tag: reaction.to.tag, from: current.tag, error: reason });
    state.learn({ retreat: { release, reason, at: clock.now().toISOString(), tries: 0, hasDied } });
  }

  #blocked({ reason, hasDied = false }: Pick<Decided, "reason" | "hasDied">, why: string): void {
    const hint = "publish a fixed version, or put another one in its place with `dewy deploy TAG`";
    this.#strand({ reason, why, hint, hasDied });
  }

  #strand(blocked: Blocked): void {
    this.calm.end();
    strand(blocked, this.deps);
  }

  /**
   * What was decided is done, unless it is beside the point by now, or not due yet. Resolves to whether it was tried;
   * rejects only when `c` aborts.
   */
  async run(c: Call): Promise<boolean> {
    const { state, clock } = this.deps;
    const { retreat, current } = state.state;
    if (retreat === null) return false;
    if (current === null || current.release !== retreat.release) {
      state.learn({ retreat: null });
      return false;
    }
    const way = wayBack(current, state.state);
    // Whoever learned that it leads nowhere may have died before it said so.
    if ("why" in way) {
      this.#blocked(retreat, way.why);
      return false;
    }
    const { reason, at, nextTryAt } = retreat;
    if (nextTryAt !== undefined && isWithin(clock.now(), at, nextTryAt)) return false;
    const errand = keptErrand(way.to, { ...this.deps, state: state.state }, { cause: "retreat", reason });
    const outcome = await this.rollout.run(errand, c);
    if (outcome.kind === "failed") this.#failed(retreat, way.to, outcome.failure);
    return true;
  }

  /** Where the host is at fault the bad release must not stay for that: it is left as soon as that is over. */
  #failed(retreat: Decided, to: PlacedRelease, failure: DewyError): void {
    const { state, clock, notes } = this.deps;
    const { reason, hasDied = false } = retreat;
    const isBad = failure.blame === "release";
    const isGone = failure.code === "not-found" && !failure.retryable;
    if (isBad || isGone) {
      const why = `${to.tag}, which was before it, ${isBad ? "does not work either" : "can't be had any more"}: ${failure.message}`;
      const again = isGone ? `publish a fixed version, or ${to.tag} again` : "publish a fixed version";
      const hint = `${again}; \`dewy deploy TAG\` puts another one in its place`;
      const unlike = failure instanceof PublishedAgain ? failure.fingerprint : null;
      this.#strand({ reason, why, hint, hasDied, unlike });
      return;
    }
    const from = state.state.current?.tag ?? "what runs";
    notes.tellFailure(to.tag, because(failure, `${from} is to be left: ${reason}`));
    const tries = retreat.tries + 1;
    const delayMs = Math.max(retryDelayMs(tries), failure.retryAfterMs ?? 0);
    const nextTryAt = new Date(clock.now().getTime() + delayMs).toISOString();
    state.learn({ retreat: { ...retreat, tries, nextTryAt } });
  }
}

function because({ code, message, hint }: DewyError, why: string): DewyError {
  return new DewyError(code, `${message}; ${why}`, { hint });
}
