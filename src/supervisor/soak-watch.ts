import { DewyError, messageOf } from "../errors.ts";
import { records } from "../events.ts";
import { type Health, nextHealth, type Probed, unproven } from "../health/policy.ts";
import type { Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Checker, HealthOptions, Subject } from "./checker.ts";
import { type Gate, maxCheckMs, type Verdict } from "./gate.ts";
import type { OwnProbe } from "./probe-own.ts";

const othersPauseMs = 20;

/** A release that runs and is not well. */
export interface Sickness {
  readonly release: string;
  /** `unproven`: whether it is well could only be found out after the switch, and it is not. */
  readonly kind: "sick" | "unproven";
  readonly reason: string;
}

interface SoakDeps {
  readonly checker: Pick<Checker, "check" | "urlOf">;
  readonly gate: Pick<Gate, "pass">;
  /** Within this time of a switch the old generation is gone, unless it hangs in the kernel. */
  readonly goneMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the release that runs is on probation now. */
  readonly soaking: () => boolean;
  readonly onSick: (sickness: Sickness) => void;
}

/** Goes on checking a generation that serves, for as long as its release is on probation. */
export class SoakWatch {
  constructor(
    private readonly options: HealthOptions,
    private readonly deps: SoakDeps,
  ) {}

  /** Until `c` aborts. `verdict` null: it was started without having to prove itself. */
  async follow(subject: Subject, release: string, verdict: Verdict | null, c: Call): Promise<void> {
    const { clock, soaking } = this.deps;
    if (verdict === "untold") await this.#afterSwitch(subject, release, c);
    let health: Health = { ...unproven("", subject.startedMs), kind: verdict === null ? "unproven" : "well" };
    for (;;) {
      await clock.sleep(this.options.intervalMs, c.signal);
      if (soaking()) health = await this.#look(subject, release, health, c);
    }
  }

  /** What was left open before the switch is made up for, once no other generation can answer in its place. */
  async #afterSwitch(subject: Subject, release: string, c: Call): Promise<void> {
    const { gate, clock, goneMs, onSick } = this.deps;
    const deadlineMs = clock.monotonicMs() + goneMs;
    while (subject.others().length > 0 && clock.monotonicMs() < deadlineMs) {
      await clock.sleep(othersPauseMs, c.signal);
    }
    for (;;) {
      try {
        await gate.pass(subject, { sinceMs: clock.monotonicMs(), proof: false }, c);
        return;
      } catch (error) {
        c.signal.throwIfAborted();
        // What this host lacked says nothing of the release: it is asked again.
        if (error instanceof DewyError && error.code === "health-unknown") continue;
        return onSick({ release, kind: "unproven", reason: messageOf(error) });
      }
    }
  }

  async #look(subject: Subject, release: string, before: Health, c: Call): Promise<Health> {
    const { checker, clock, log, onSick } = this.deps;
    const probed = probedOf(await this.#check(subject, c));
    if (probed === null) return before;
    const health = nextHealth(before, probed, this.options, clock.monotonicMs());
    if (probed.unasked === true && health.seen !== before.seen) {
      log.warn(records.healthUnknown, { error: health.seen, pid: subject.pid });
    }
    if (health.kind === before.kind) return health;
    const url = checker.urlOf(subject);
    if (health.kind === "sick") {
      log.warn(records.healthFailed, {
        url,
        error: health.seen,
        attempts: health.failures,
        pid: subject.pid,
      });
      onSick({ release, kind: "sick", reason: `${health.failures} checks in a row failed: ${health.seen}` });
    } else {
      log.info(records.healthPassed, { url, status: probed.status, pid: subject.pid });
    }
    return health;
  }

  async #check(subject: Subject, c: Call): Promise<OwnProbe> {
    const limitMs = Math.min(maxCheckMs, this.options.timeoutMs);
    const result = await this.deps.checker.check(subject, { proof: true, width: 1, limitMs }, c);
    // While an old one drains it might be who answers.
    if (result.kind !== "untold" || subject.others().length > 0) return result;
    return await this.deps.checker.check(subject, { proof: false, width: 1, limitMs }, c);
  }
}

/** What another generation answers while it drains says nothing of this one. */
function probedOf(result: OwnProbe): Probed | null {
  if (result.kind === "asked") return result.probed;
  return result.kind === "untaken" ? { ok: false, seen: "it takes no connections" } : null;
}
