import { join } from "node:path";
import { DewyError, type ErrorCode, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { appEnvironment, rehearsalVariable } from "../process/environment.ts";
import { releaseVariable } from "../process/in-release.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { Change } from "./change.ts";
import { Checker, type HealthCounts, type HealthOptions, type Subject } from "./checker.ts";
import { whileServing } from "./end-with.ts";
import { askedAt } from "./endpoint.ts";
import { Gate, type Verdict } from "./gate.ts";
import type { Generation } from "./generation.ts";
import type { GenerationOptions, Generations } from "./generations.ts";
import { Prover } from "./prove.ts";
import { Rehearsal } from "./rehearsal.ts";
import { type Sickness, SoakWatch } from "./soak-watch.ts";

export interface VettingOptions extends GenerationOptions {
  /** How long a new generation must stay up before the old one is told to go. */
  readonly minUptimeMs: number;
  /** null: that it stays up is all there is to know. */
  readonly health: HealthOptions | null;
  /** A new release proves itself on private sockets first. */
  readonly rehearse: boolean;
  /** For what a rehearsal needs; emptied when an agent begins. */
  readonly tmpDir: string;
}

export interface VettingDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the release that runs is on probation now. */
  readonly soaking: () => boolean;
  /** The release that serves is not well: while it is on probation, or where that could not be found out before. */
  readonly onSick: (sickness: Sickness) => void;
}

/** It runs, and could not show that it is well. */
const unproven: ReadonlySet<ErrorCode> = new Set(["health-failed", "health-unknown"]);
/** Beside the time that an old generation is given: to be reaped, on a machine that does other things. */
const goneMarginMs = 5000;

/** Finds out what a release is good for: before it serves, before the old one goes, and while it is on probation. */
export class Vetting {
  readonly #prover: Prover;
  readonly #checker: Checker | null = null;
  readonly #watch: SoakWatch | null = null;
  readonly #rehearsal: Rehearsal | null;
  #following = new AbortController();

  constructor(
    private readonly options: VettingOptions,
    private readonly deps: VettingDeps,
    private readonly generations: Generations,
  ) {
    const { health, root, user } = options;
    let gate: Gate | null = null;
    if (health !== null) {
      const checker = new Checker({ health, root, user }, deps.clock);
      gate = new Gate(health, { ...deps, checker });
      const goneMs = options.killOldDelayMs + options.stopTimeoutMs + goneMarginMs;
      this.#checker = checker;
      this.#watch = new SoakWatch(health, { ...deps, checker, gate, goneMs });
    }
    this.#prover = new Prover(options.minUptimeMs, gate, deps.clock);
    const environment = (release: string) =>
      appEnvironment(options, {
        [rehearsalVariable]: "1",
        [releaseVariable]: join(root, "releases", release),
      });
    this.#rehearsal = options.rehearse
      ? new Rehearsal(options, { ...deps, generations, prover: this.#prover, environment })
      : null;
  }

  get counts(): HealthCounts | null {
    return this.#checker?.counts ?? null;
  }

  /** Leaves an app that was only just started alone until it has read its files. */
  async settle(current: Generation, { kind }: Change, c: Call): Promise<void> {
    // What is to be left may be sick: nobody waits for it.
    if (kind !== "return") await this.#prover.settle(current, c);
  }

  /** Before a release gets the real sockets; what has been good on them needs no rehearsal. */
  async rehearse({ kind, release }: Change, serving: Generation | null, c: Call): Promise<void> {
    if (kind === "deploy") await this.#rehearsal?.run(release, serving, c);
  }

  /**
   * Fails with `start-failed` or `health-failed` unless `next` may take over, and when what serves ends before a new
   * release has got through its checks.
   */
  async prove(
    next: Generation,
    { kind, release }: Change,
    serving: Generation | null,
    c: Call,
  ): Promise<Verdict> {
    const prove = (call: Call) => this.#prover.prove(next, this.#subjectOf(next), call);
    try {
      if (kind !== "deploy" || serving === null || this.options.health === null) return await prove(c);
      return await whileServing(serving, "while the new version was checked", prove, this.deps.clock, c);
    } catch (error) {
      const isUnproven = error instanceof DewyError && unproven.has(error.code);
      if (kind !== "return" || !isUnproven) throw error;
      // It stays up, and what it comes back for was no better: two sick ones would serve by turns.
      this.deps.log.warn("Went back to a release whose checks fail, too", {
        release,
        error: messageOf(error),
      });
      return "well";
    }
  }

  /** Goes on checking what serves now, in place of what served before. `verdict` null: it did not have to prove itself. */
  follow(current: Generation, release: string, verdict: Verdict | null): void {
    this.unfollow();
    const following = new AbortController();
    this.#following = following;
    void current.exited.then(() => following.abort());
    this.#watch?.follow(this.#subjectOf(current), release, verdict, following).catch((error) => {
      if (!following.signal.aborted) this.deps.log.warn("Health checks ended", { error: messageOf(error) });
    });
  }

  unfollow(): void {
    this.#following.abort();
  }

  #subjectOf({ pid, startedMs, release }: Generation): Subject {
    const others = () => this.generations.alive.filter((run) => run.pid !== pid).map((run) => run.pid);
    const { root } = this.options;
    const own = release === null ? {} : { [releaseVariable]: join(root, "releases", release) };
    const environment = () => appEnvironment(this.options, own);
    return { pid, startedMs, endpoint: askedAt(this.options.listen), others, environment };
  }
}
