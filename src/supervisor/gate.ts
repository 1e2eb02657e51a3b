import { DewyError } from "../errors.ts";
import { records } from "../events.ts";
import { healthUnknown } from "../health/unknown.ts";
import { duration, type Log } from "../log.ts";
import type { Call } from "../util/async.ts";
import { type Clock, formatDuration } from "../util/time.ts";
import type { Checker, HealthOptions, Subject } from "./checker.ts";
import type { OwnProbe } from "./probe-own.ts";

/** `untold`: it was not found out; it stays to be checked once no other generation can answer in its place. */
export type Verdict = "well" | "untold";

/** One check takes no longer, however much time is left. */
export const maxCheckMs = 5000;
/** With less time left another one would be no fair chance. */
const minCheckMs = 200;
/** Between two tries to have a connection taken by the right generation: an idle old one is often the faster. */
const proofPausesMs = { first: 20, last: 250 } as const;
const maxWidth = 8;
/** An idle old one is always the faster where the new one is cold: after so many misses in a row it is held still. */
const missesBeforeHold = 4;
/** One that takes none although nobody else could is deaf: the others are left alone from then on. */
const maxVainHolds = 4;
/** So often in a row it must not be told who took a connection, for it never to be. */
const untoldTries = 3;

interface GateDeps {
  readonly checker: Pick<Checker, "check" | "command" | "urlOf">;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the tries so far came to. */
interface Course {
  passes: number;
  attempts: number;
  untold: number;
  width: number;
  /** Tries in a row in which it got no connection. */
  misses: number;
  /** Tries in which nobody else could take one, and it did not either. */
  vainHolds: number;
  /** Whether another generation ever took a connection that was meant for this one. */
  otherTook: boolean;
  /** The last failure of the generation itself; null: it was never asked. */
  seen: string | null;
  /** What this host lacked to ask it, since it was last asked; null: nothing. */
  hindrance: string | null;
}

const unbegun: Readonly<Course> = {
  passes: 0,
  attempts: 0,
  untold: 0,
  width: 1,
  misses: 0,
  vainHolds: 0,
  otherTook: false,
  seen: null,
  hindrance: null,
};

/** Lets a generation through once it has answered well often enough in a row. */
export class Gate {
  #hasWarned = false;

  constructor(
    private readonly options: HealthOptions,
    private readonly deps: GateDeps,
  ) {}

  /**
   * Checks until `passes` good answers in a row have come. Fails with `health-failed` once `timeoutMs` have passed
   * since `sinceMs`, with `health-unknown` where this host could not ask. `proof`: the generation itself must have
   * answered.
   */
  async pass(
    subject: Subject,
    { sinceMs, proof }: { sinceMs: number; proof: boolean },
    c: Call,
  ): Promise<Verdict> {
    const { checker, clock } = this.deps;
    const { timeoutMs, intervalMs, passes, command } = this.options;
    const deadlineMs = sinceMs + timeoutMs;
    const course: Course = { ...unbegun };
    for (;;) {
      const leftMs = deadlineMs - clock.monotonicMs();
      if (leftMs <= (course.attempts > 0 ? minCheckMs : 0)) throw this.#failed(course, subject);
      const limitMs = Math.ceil(Math.min(maxCheckMs, leftMs));
      const hold = isHolding(course);
      const result = await checker.check(subject, { proof, width: course.width, hold, limitMs }, c);
      if (hold && (result.kind !== "asked" || result.probed.unasked === true)) course.vainHolds += 1;
      note(result, course);
      if (course.passes >= passes) return this.#passed(result, subject, sinceMs);
      if (course.untold >= untoldTries) {
        this.#warn();
        return command === null ? "untold" : await this.#commandAlone(subject, deadlineMs, c);
      }
      const pauseMs = result.kind === "asked" ? intervalMs : proofPauseOf(course);
      await clock.sleep(Math.max(0, Math.min(pauseMs, deadlineMs - clock.monotonicMs())), c.signal);
    }
  }

  async #commandAlone(subject: Subject, deadlineMs: number, c: Call): Promise<Verdict> {
    const { checker, clock } = this.deps;
    const { passes, intervalMs } = this.options;
    for (let inARow = 0, attempts = 1; ; attempts++) {
      const leftMs = deadlineMs - clock.monotonicMs();
      const probed = await checker.command(subject, Math.ceil(Math.min(maxCheckMs, Math.max(1, leftMs))), c);
      inARow = probed?.ok === false ? 0 : inARow + 1;
      if (inARow >= passes) return "untold";
      if (leftMs <= intervalMs) {
        const seen = probed?.seen ?? null;
        const hindrance = probed?.unasked === true ? seen : null;
        throw this.#failed({ ...unbegun, attempts, seen, hindrance }, subject);
      }
      await clock.sleep(intervalMs, c.signal);
    }
  }

  #passed(result: OwnProbe, subject: Subject, sinceMs: number): Verdict {
    const { checker, clock, log } = this.deps;
    log.info(records.healthPassed, {
      url: checker.urlOf(subject),
      status: result.kind === "asked" ? result.probed.status : undefined,
      pid: subject.pid,
      duration: duration(clock.monotonicMs() - sinceMs),
    });
    return "well";
  }

  #failed(course: Course, subject: Subject): DewyError {
    const failure = failureOf(course, this.options.timeoutMs);
    const record = course.hindrance === null ? records.healthFailed : records.healthUnknown;
    this.deps.log.warn(record, {
      url: this.deps.checker.urlOf(subject),
      error: failure.message,
      attempts: course.attempts,
      pid: subject.pid,
    });
    return failure;
  }

  /** Once: it will be so at each deploy. */
  #warn(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.deps.log.warn(
      "Can't tell which version takes a connection: its health is checked after the switch",
      {
        hint: "on Linux, let dewy run as root (with CAP_SYS_PTRACE) or as the app's user, on a TCP port; or add --rehearse",
      },
    );
  }
}

/** Quick at first, then slower: an app that does not accept yet is not hurried, and the old one not bothered. */
function proofPauseOf({ misses }: Course): number {
  return Math.min(proofPausesMs.last, proofPausesMs.first * Math.max(1, misses / 10));
}

function isHolding({ otherTook, misses, vainHolds }: Course): boolean {
  return otherTook && misses >= missesBeforeHold && vainHolds < maxVainHolds;
}

function note(result: OwnProbe, course: Course): void {
  if (result.kind === "asked" && result.probed.unasked === true) {
    course.hindrance = result.probed.seen;
    return;
  }
  course.untold = result.kind === "untold" ? course.untold + 1 : 0;
  course.misses = result.kind === "asked" ? 0 : course.misses + 1;
  if (result.kind === "other") {
    course.otherTook = true;
    course.width = Math.min(maxWidth, course.width * 2);
  }
  if (result.kind !== "asked") return;
  course.attempts += 1;
  course.hindrance = null;
  course.passes = result.probed.ok ? course.passes + 1 : 0;
  if (!result.probed.ok) course.seen = result.probed.seen;
}

function failureOf({ seen, otherTook, attempts, hindrance }: Course, timeoutMs: number): DewyError {
  if (hindrance !== null) return healthUnknown("version", hindrance);
  const within = `within ${formatDuration(timeoutMs)}`;
  if (seen !== null) {
    return new DewyError("health-failed", `the new version did not get healthy ${within}: ${seen}`, {
      hint: "see the app's own output; one that needs longer gets it by --health-timeout",
    });
  }
  if (attempts > 0) {
    return new DewyError(
      "health-failed",
      `the new version took too few connections to prove itself ${within}`,
      {
        hint: "it answers well, but the old one is always the faster; give it longer by --health-timeout",
      },
    );
  }
  const who = otherTook ? "only the old one answered" : "nor did another one";
  return new DewyError("health-failed", `the new version never took a connection ${within}; ${who}`, {
    hint: "the app must accept on the sockets it inherits: see SERVER_STARTER_PORT and LISTEN_FDS",
  });
}
