import { existsSync, rmSync } from "node:fs";
import type { DeliveryStatus } from "../activate/delivery.ts";
import { DewyError, toDewyError } from "../errors.ts";
import { records } from "../events.ts";
import { duration } from "../log.ts";
import type { Registry } from "../registry/registry.ts";
import type { PlacedRelease } from "../release/release.ts";
import { type Call, withDeadline } from "../util/async.ts";
import { decide } from "./decide.ts";
import { Deploy, type DeployDeps } from "./deploy.ts";
import type { History } from "./history.ts";
import { pauseUntilNextCheck } from "./pace.ts";
import { Reporter } from "./report.ts";
import { SkipLog } from "./skip-log.ts";
import { judge } from "./verdict.ts";

export interface AgentDeps extends DeployDeps {
  readonly registry: Registry;
  readonly history: History;
  /** The state was not there: what lies on disk may tell what runs. */
  readonly freshState: boolean;
  readonly intervalMs: number;
  /** Where in the interval the checks fall, from phaseOf(); null: wherever the first one put them. */
  readonly phase: number | null;
  readonly report: boolean;
  /** `dewy retry` leaves it for the agent to find. */
  readonly retryRequest: string;
  /** Work is done, and what follows is waiting. */
  readonly onQuiet: () => void;
}

/** What one check came to; a failure has been logged and told already. */
export type Outcome =
  | { readonly kind: "deployed"; readonly tag: string }
  | { readonly kind: "idle" }
  | { readonly kind: "failed"; readonly failure: DewyError };

const pollDeadlineMs = 5 * 60_000;
const stuckAfterMs = 15 * 60_000;

/** One host's loop: look what is newest, decide, deploy, tell. */
export class Agent {
  readonly #reporter: Reporter;
  readonly #skips: SkipLog;

  constructor(private readonly deps: AgentDeps) {
    const registry = deps.report ? deps.registry : null;
    this.#reporter = new Reporter({ ...deps, registry });
    this.#skips = new SkipLog(deps);
  }

  /** Cleans up after a crash, takes over what runs, and serves the recorded release before anything is asked. */
  async begin(c: Call): Promise<void> {
    const { state, delivery, log, announcer, settings } = this.deps;
    // The last agent may have died between the commit and the telling.
    if (state.state.unreported !== null) announcer.catchUp(state.state.unreported, settings.hasPort);
    if (this.deps.freshState) {
      const found = await delivery.find(c);
      if (found !== null) state.learn({ current: found });
    }
    delivery.recover(state.state.current);
    if (state.state.attempt !== null) {
      log.warn("The last deploy was interrupted", { tag: state.state.attempt.tag });
      state.learn({ attempt: null });
    }
    try {
      await delivery.resume(this.#restore(), c);
    } catch (error) {
      c.signal.throwIfAborted();
      this.#logFailure(toDewyError(error, "start the recorded release"));
    }
  }

  /** Checks until `c` aborts; rejects with its reason. */
  async run(c: Call): Promise<never> {
    for (let first = true; ; first = false) {
      const outcome = await this.tick(c);
      if (first || outcome.kind === "deployed") this.deps.onQuiet();
      // A registry that asked for patience, or that is failing, is asked no sooner than it may be.
      const patienceMs = outcome.kind === "failed" ? (outcome.failure.retryAfterMs ?? 0) : 0;
      const pauseMs = Math.max(this.#ownPauseMs(), patienceMs);
      await this.deps.clock.sleep(pauseMs, c.signal);
    }
  }

  /** One check, and the deploy if it finds one. Rejects only when `c` aborts. */
  async tick(c: Call): Promise<Outcome> {
    const done = new AbortController();
    this.#reportIfStuck(AbortSignal.any([c.signal, done.signal]));
    try {
      this.#honourRetryRequest();
      // What the last run or the last tick could not bring home, before another deploy takes its place.
      await this.#reporter.deliver(c);
      const outcome = await this.#check(c);
      if (outcome.kind === "deployed") await this.#reporter.deliver(c);
      return outcome;
    } catch (error) {
      c.signal.throwIfAborted();
      return this.#checkFailed(null, toDewyError(error, "check for a new release"));
    } finally {
      done.abort();
      if (isWell(this.deps.delivery.status())) this.deps.announcer.well("app");
    }
  }

  async #check(c: Call): Promise<Outcome> {
    const { registry, state, clock, log, announcer } = this.deps;
    const { release, otherSlot } = await registry.latest(withDeadline(c, pollDeadlineMs));
    if (otherSlot !== null) log.debug(records.slotMismatch, { tag: otherSlot });
    if (!this.#isIntact()) this.#restore();
    const now = clock.now();
    const { setup } = this.deps.delivery;
    const decision = decide(release, { state: state.state, intact: this.#isIntact(), setup, now });
    announcer.well("check");
    switch (decision.kind) {
      case "skip":
        this.#skips.note(decision.reason, release);
        // Between two tries of a release that fails nothing has become well.
        if (decision.reason !== "backoff") announcer.well("deploy");
        return { kind: "idle" };
      case "no-artifact":
        return this.#checkFailed(decision.tag, artifactMissing(decision.tag));
      case "deploy":
        return this.#deploy(new Deploy(decision.release, this.deps), decision.fingerprint, c);
    }
  }

  async #deploy(deploy: Deploy, fingerprint: string, c: Call): Promise<Outcome> {
    const { tag } = deploy.release;
    await this.#forgetReplaced(deploy, fingerprint, c);
    try {
      await deploy.run(c);
    } catch (error) {
      c.signal.throwIfAborted();
      return this.#deployFailed(deploy, fingerprint, toDewyError(error, `deploy ${tag}`));
    }
    this.#reporter.record();
    this.deps.announcer.well("deploy");
    await this.#tidyUp(c);
    return { kind: "deployed", tag };
  }

  #checkFailed(tag: string | null, failure: DewyError): Outcome {
    this.#logFailure(failure, tag);
    return this.#failed(tag, failure);
  }

  /** Told first: an agent that dies in between tries the release once more rather than giving it up in silence. */
  #deployFailed(deploy: Deploy, fingerprint: string, failure: DewyError): Outcome {
    const { state, history, clock, announcer, log } = this.deps;
    const { tag, moving = false } = deploy.release;
    const { digest, thread } = deploy;
    const verdict = judge({ tag, moving, digest, fingerprint, failure, now: clock.now() }, state.state);
    const reason = failure.message;
    const outcome = this.#failed(tag, failure, thread);
    if (verdict.kind === "quarantine") {
      announcer.quarantined({ kind: "quarantined", tag, digest, reason }, { thread });
    }
    if (verdict.kind === "retry") state.learn({ attempt: null, failure: verdict.failure });
    else state.learn({ attempt: null, failure: null, quarantine: verdict.quarantine });
    // Whoever reads this finds the state as it is told.
    this.#logFailure(failure, tag);
    if (verdict.kind === "quarantine") log.warn("Quarantined", { tag, digest, reason });
    try {
      history.append(deploy.record("failed", failure));
    } catch (error) {
      this.#logFailure(toDewyError(error, "write the history"));
    }
    return outcome;
  }

  /** What is published now under a tag must not be hidden by the cached bytes that failed under it. */
  async #forgetReplaced({ release }: Deploy, fingerprint: string, c: Call): Promise<void> {
    const { state, delivery } = this.deps;
    const { failure, quarantine } = state.state;
    const failed = failure === null ? quarantine : [failure, ...quarantine];
    const replaced = failed.some((entry) => entry.tag === release.tag && entry.fingerprint !== fingerprint);
    if (replaced) await delivery.forget(release, c);
  }

  async #tidyUp(c: Call): Promise<void> {
    const { state, delivery } = this.deps;
    const left = await delivery.tidyUp(state.state, c);
    const releases = Object.entries(state.state.releases).filter(([release]) => left.has(release));
    if (releases.length < Object.keys(state.state.releases).length) {
      state.learn({ releases: Object.fromEntries(releases) });
    }
  }

  #failed(tag: string | null, failure: DewyError, thread: string | null = null): Outcome {
    const servingTag = this.deps.state.state.current?.tag ?? null;
    const { message, hint = null } = failure;
    this.deps.announcer.tell({ kind: "failed", tag, message, hint, servingTag }, { thread });
    return { kind: "failed", failure };
  }

  #logFailure(failure: DewyError, tag: string | null = null): void {
    const { message, hint } = failure;
    this.deps.log.error(records.runFailed, { error: message, tag: tag ?? undefined, hint });
  }

  #ownPauseMs(): number {
    const { registry, phase, clock } = this.deps;
    const intervalMs = Math.max(this.deps.intervalMs, registry.minIntervalMs());
    return phase === null ? intervalMs : pauseUntilNextCheck(clock.now().getTime(), intervalMs, phase);
  }

  #isIntact(): boolean {
    const { delivery, state } = this.deps;
    return state.state.current !== null && delivery.isIntact(state.state.current);
  }

  #restore(): PlacedRelease | null {
    const { delivery, state } = this.deps;
    const { current, previous } = state.state;
    return delivery.restore([current, previous].filter((placed) => placed !== null));
  }

  #honourRetryRequest(): void {
    const { retryRequest, state, log } = this.deps;
    if (!existsSync(retryRequest)) return;
    state.update({ quarantine: [], failure: null });
    rmSync(retryRequest, { force: true });
    log.info("Retry requested: quarantine lifted");
  }

  #reportIfStuck(signal: AbortSignal): void {
    const warn = (): void =>
      this.deps.log.warn("A check takes unusually long", { after: duration(stuckAfterMs) });
    void this.deps.clock.sleep(stuckAfterMs, signal).then(warn, () => undefined);
  }
}

function artifactMissing(tag: string): DewyError {
  return new DewyError("artifact-missing", `release ${tag} has no artifact for this host`, {
    hint: "publish an archive whose name holds this OS and architecture, or name it with artifact=",
  });
}

/** With all its replicas, where it has some; what has no app is well, too. */
function isWell(status: DeliveryStatus): boolean {
  if (status.kind === "idle") return true;
  return status.kind === "serving" && (status.inRotation ?? 1) >= (status.replicas ?? 1);
}
