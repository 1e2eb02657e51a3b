import { type DewyError, toDewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { PlacedRelease } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import { isStranded } from "../back/stranded.ts";
import { isFailureOf } from "../failure.ts";
import type { History } from "../history.ts";
import type { Notes } from "../notes.ts";
import type { Turns } from "../orders/turns.ts";
import { Deploy, type DeployDeps, type DeployStep } from "./deploy.ts";
import type { Errand } from "./errand.ts";
import type { Reporter } from "./report.ts";
import { judge } from "./verdict.ts";

/** What one check or order came to; a failure has been logged and told already. */
export type Outcome =
  | { readonly kind: "deployed"; readonly tag: string }
  | { readonly kind: "idle" }
  | { readonly kind: "failed"; readonly failure: DewyError };

export interface RolloutDeps extends DeployDeps {
  readonly history: History;
  readonly reporter: Reporter;
  readonly notes: Notes;
  readonly turns: Turns;
}

/** The points of a deploy as people read them. */
const stepTexts: Readonly<Record<DeployStep, string>> = {
  begun: "begun",
  obtained: "release is here",
  "before-hook": "before hook done",
  staged: "release is in place",
  switched: "switched to it",
  "after-hook": "after hook done",
  proved: "it has proved itself",
  committed: "recorded",
};

/** Carries deploys out, with all that comes after them, be they good or bad. */
export class Rollout {
  constructor(private readonly deps: RolloutDeps) {}

  /** Rejects only when `c` aborts. */
  async run(errand: Errand, c: Call): Promise<Outcome> {
    const { turns, state, reporter, announcer } = this.deps;
    const { tag } = errand;
    turns.become(whatOf(errand));
    const deploy = new Deploy(errand, {
      ...this.deps,
      onStep: (step) => this.#passed(step),
      onReceived: (bytes, totalBytes) => turns.received(bytes, totalBytes),
    });
    const left = state.state.current;
    await this.#forgetReplaced(errand, c);
    try {
      await deploy.run(c);
    } catch (error) {
      c.signal.throwIfAborted();
      return this.#failed(deploy, toDewyError(error, `deploy ${tag}`));
    }
    this.#logSuccess(errand, left);
    reporter.record();
    announcer.well("deploy");
    await this.#tidyUp(left, c);
    await reporter.deliver(c);
    return { kind: "deployed", tag };
  }

  #passed(step: DeployStep): void {
    const { before, after } = this.deps.live.settings.hooks;
    const isSilent = (step === "before-hook" && before === null) || (step === "after-hook" && after === null);
    if (!isSilent) this.deps.turns.step(stepTexts[step]);
    this.deps.onStep(step);
  }

  #logSuccess({ tag, reason, cause }: Errand, left: PlacedRelease | null): void {
    const { log, state } = this.deps;
    if (cause === "retreat") {
      log.warn(records.wentBack, { tag, from: left?.tag, error: reason ?? undefined });
      return;
    }
    const { soak } = state.state;
    if (soak !== null) log.info(records.soaking, { tag, until: soak.until });
  }

  /** Told first: an agent that dies in between tries the release once more rather than giving it up in silence. */
  #failed(deploy: Deploy, failure: DewyError): Outcome {
    const { state, history, clock, announcer, log, notes } = this.deps;
    const { tag, fingerprint, published, cause } = deploy.errand;
    const { digest, thread } = deploy;
    const moving = published === null || published.moving === true;
    // A way back that fails is told with why there is one.
    const isWayBack = cause === "retreat";
    const attempt = { tag, moving, digest, fingerprint, failure, returning: isWayBack, now: clock.now() };
    const verdict = judge(attempt, state.state);
    const reason = verdict.kind === "quarantine" ? verdict.reason : failure.message;
    if (verdict.kind === "retry" && !isWayBack) notes.tellFailure(tag, failure, thread);
    if (verdict.kind === "quarantine" && !isWayBack) {
      const { hint } = verdict;
      const servingTag = state.state.current?.tag ?? null;
      announcer.quarantined({ kind: "quarantined", tag, digest, reason, hint, servingTag }, { thread });
    }
    // A way back does not end what another release waits for.
    const { failure: before } = state.state;
    const kept = isWayBack && !isFailureOf(before, deploy.errand) ? before : null;
    if (verdict.kind === "retry") state.learn({ attempt: null, failure: kept ?? verdict.failure });
    else state.learn({ attempt: null, failure: kept, quarantine: verdict.quarantine });
    // Whoever reads this finds the state as it is told.
    notes.logFailure(failure, tag);
    if (verdict.kind === "quarantine") log.warn("Quarantined", { tag, digest, reason });
    // Of a blocked way back that is tried again now and then, one is enough.
    if (isWayBack && isStranded(state.state)) return { kind: "failed", failure };
    try {
      history.append(deploy.record("failed", isWayBack ? wayBackFailed(deploy.errand, reason) : reason));
    } catch (error) {
      notes.logFailure(toDewyError(error, "write the history"));
    }
    return { kind: "failed", failure };
  }

  /** What is published now under a tag must not be hidden by the cached bytes that failed under it. */
  async #forgetReplaced({ published, fingerprint }: Errand, c: Call): Promise<void> {
    if (published === null) return;
    const { state, delivery } = this.deps;
    const { failure, quarantine } = state.state;
    const failed = failure === null ? quarantine : [failure, ...quarantine];
    const replaced = failed.some((entry) => entry.tag === published.tag && entry.fingerprint !== fingerprint);
    if (replaced) await delivery.forget(published, c);
  }

  async #tidyUp(left: PlacedRelease | null, c: Call): Promise<void> {
    const { state, delivery, live } = this.deps;
    const remaining = await delivery.tidyUp({ ...state.state, left }, live.settings.keep, c);
    const releases = Object.entries(state.state.releases).filter(([release]) => remaining.has(release));
    if (releases.length < Object.keys(state.state.releases).length) {
      state.learn({ releases: Object.fromEntries(releases) });
    }
  }
}

function wayBackFailed({ reason }: Errand, failure: string): string {
  return `${failure}; it was to come back because what replaced it failed: ${reason ?? "it failed"}`;
}

export function whatOf({ tag, cause }: Pick<Errand, "tag" | "cause">): string {
  if (cause === "rollback") return `a rollback to ${tag}`;
  return cause === "retreat" ? `the way back to ${tag}` : `a deploy of ${tag}`;
}
