import { existsSync, rmSync } from "node:fs";
import type { Delivery, DeliveryStatus } from "../activate/delivery.ts";
import { DewyError, toDewyError } from "../errors.ts";
import { records } from "../events.ts";
import { duration, type Log } from "../log.ts";
import type { SharedOrigin } from "../registry/registry.ts";
import { unreachable } from "../util/assert.ts";
import type { Call } from "../util/async.ts";
import { type Clock, roughDuration } from "../util/time.ts";
import type { Announcer } from "./announce.ts";
import { type CrashLoop, isSoaking } from "./back/going-back.ts";
import { expired } from "./back/hold.ts";
import { restoreRecorded } from "./back/restore.ts";
import type { Retreat } from "./back/retreat.ts";
import { retry } from "./back/retry.ts";
import { isStranded, isWellAgain } from "./back/stranded.ts";
import type { Check, Finding } from "./check.ts";
import type { SkipReason, Wait } from "./decide.ts";
import { artifactMissing, publishedErrand } from "./deploy/errand.ts";
import type { Reporter } from "./deploy/report.ts";
import type { Outcome, Rollout } from "./deploy/rollout.ts";
import type { Notes } from "./notes.ts";
import { explain } from "./orders/explain.ts";
import { SkipLog } from "./skip-log.ts";
import type { StateFile } from "./state.ts";

interface TickDeps {
  readonly delivery: Delivery;
  readonly state: StateFile;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly log: Log;
  /** `dewy retry` leaves it for the agent to find. */
  readonly retryRequest: string;
  readonly check: Check;
  readonly rollout: Rollout;
  readonly retreat: Retreat;
  readonly reporter: Reporter;
  readonly notes: Notes;
  readonly crashLoop: CrashLoop;
}

const stuckAfterMs = 15 * 60_000;

/** What is due at each of the agent's checks. */
export class Tick {
  readonly #skips: SkipLog;

  constructor(private readonly deps: TickDeps) {
    this.#skips = new SkipLog(deps);
  }

  /** Rejects only when `c` aborts. */
  async run(c: Call): Promise<Outcome> {
    const done = new AbortController();
    this.#reportIfStuck(AbortSignal.any([c.signal, done.signal]));
    try {
      this.#honourRetryRequest();
      this.#endWhatIsOver();
      // What the last run or the last tick could not bring home, before another deploy takes its place.
      await this.deps.reporter.deliver(c);
      await this.deps.retreat.run(c);
      return await this.#look(c);
    } catch (error) {
      c.signal.throwIfAborted();
      const failure = toDewyError(error, "check for a new release");
      this.deps.notes.polled(false, this.deps.notes.lastPoll?.newest ?? null);
      return this.#failed(null, failure);
    } finally {
      done.abort();
      if (this.#isAppWell) this.deps.announcer.well("app");
    }
  }

  /** A release that is to be left is not well between two of its deaths. */
  get #isAppWell(): boolean {
    const { delivery, state } = this.deps;
    return isWell(delivery.status()) && state.state.retreat === null && !isStranded(state.state);
  }

  async #look(c: Call): Promise<Outcome> {
    const { announcer, delivery, state, check } = this.deps;
    if (!check.isIntact) restoreRecorded(delivery, state.state);
    const finding = await check.ask("tick", c);
    const { decision, about } = finding;
    this.deps.notes.polled(true, finding.newest?.tag ?? null);
    this.#noteWaiting(finding);
    if (finding.stale === null) announcer.well("check");
    else this.deps.notes.tellFailure(null, staleAnswer(finding.stale, this.deps.clock.now()));
    switch (decision.kind) {
      case "skip":
      case "wait":
        this.#skips.note(decision.reason, about);
        this.#endFailure(decision.reason, about?.tag ?? null);
        return { kind: "idle" };
      case "no-artifact":
        return this.#failed(decision.tag, artifactMissing(decision.tag));
      case "deploy":
        return this.deps.rollout.run(publishedErrand(decision.release, delivery, { cause: "check" }), c);
      default:
        return unreachable(decision);
    }
  }

  /** Where nothing is to be deployed, what failed before may be over: deployed meanwhile, or no longer wanted. */
  #endFailure(reason: SkipReason | Wait["reason"], tag: string | null): void {
    const { announcer, state } = this.deps;
    // Between two tries of a release that fails, and where none can be had, nothing has become well.
    if (reason === "backoff" || reason === "no-release" || reason === "grace") return;
    const { failure, retreat } = state.state;
    // A way back that fails is tried again.
    if (retreat !== null) return;
    const isFailing = failure !== null && failure.tag === tag;
    if (failure === null || (isFailing && reason === "current")) announcer.well("deploy");
    else if (!isFailing) {
      announcer.settled("deploy");
      // Nobody tries it again.
      if (reason === "current") state.learn({ failure: null });
    }
  }

  #noteWaiting(finding: Finding): void {
    const { decision, about } = finding;
    const waits = decision.kind === "wait" || (decision.kind === "skip" && decision.reason !== "current");
    const { text, until } = explain(decision, about, this.deps.state.state, this.deps.clock.now());
    const tag = about?.tag ?? null;
    this.deps.notes.waiting =
      waits && tag !== null ? { tag, reason: text, until: until?.toISOString() ?? null } : null;
  }

  #failed(tag: string | null, failure: DewyError): Outcome {
    this.deps.notes.logFailure(failure, tag);
    this.deps.notes.tellFailure(tag, failure);
    return { kind: "failed", failure };
  }

  #honourRetryRequest(): void {
    const { retryRequest } = this.deps;
    if (!existsSync(retryRequest)) return;
    retry(this.deps);
    rmSync(retryRequest, { force: true });
  }

  #endWhatIsOver(): void {
    const { state, clock, log } = this.deps;
    const now = clock.now();
    const hold = expired(state.state, now);
    if (hold !== null) {
      log.info(records.holdEnded, { until: state.state.hold?.until ?? undefined });
      state.learn(hold);
    }
    this.#endStranding();
    if (state.state.soak !== null && !isSoaking(state.state, now)) {
      log.info(records.soaked, { tag: state.state.current?.tag });
      state.learn({ soak: null });
    }
  }

  #endStranding(): void {
    const { state, delivery, log, crashLoop, retreat } = this.deps;
    if (!isWell(delivery.status())) retreat.calm.end();
    const { stranded, current } = state.state;
    if (stranded === null) return;
    const isOther = !isStranded(state.state);
    if (!isOther && !isWellAgain(state.state, retreat.calm, crashLoop)) return;
    if (!isOther) log.info(records.strandingOver, { tag: current?.tag });
    state.learn({ stranded: null });
  }

  #reportIfStuck(signal: AbortSignal): void {
    const warn = (): void =>
      this.deps.log.warn("A check takes unusually long", { after: duration(stuckAfterMs) });
    void this.deps.clock.sleep(stuckAfterMs, signal).then(warn, () => undefined);
  }
}

/** What the fleet knows goes on being deployed: it is for people alone, and the shared cache has logged it. */
function staleAnswer({ asOf, failure }: SharedOrigin, now: Date): DewyError {
  const age = roughDuration(Math.max(0, now.getTime() - asOf.getTime()));
  const why = failure === undefined ? "" : `: ${failure}`;
  return new DewyError("network-unreachable", `the registry fails${why}; its answer of ${age} ago is used`);
}

/** With all its replicas, where it has some; what has no app is well, too. */
function isWell(status: DeliveryStatus): boolean {
  if (status.kind === "idle") return true;
  return status.kind === "serving" && (status.inRotation ?? 1) >= (status.replicas ?? 1);
}
