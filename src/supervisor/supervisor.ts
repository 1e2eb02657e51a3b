import { type Blame, messageOf, toDewyError } from "../errors.ts";
import { describeExit } from "../process/process.ts";
import { unreachable } from "../util/assert.ts";
import { type Call, Mutex } from "../util/async.ts";
import { type Change, unchanged } from "./change.ts";
import type { HealthCounts } from "./checker.ts";
import type { Verdict } from "./gate.ts";
import type { Generation } from "./generation.ts";
import { type GenerationDeps, Generations } from "./generations.ts";
import { nextRestart, noDeaths, type RestartHistory } from "./restart-policy.ts";
import { Vetting, type VettingDeps, type VettingOptions } from "./vetting.ts";

export type SupervisorOptions = VettingOptions;

export interface SupervisorDeps extends GenerationDeps, VettingDeps {
  /** The app died, or could not be started again; the next try comes after `delayMs`. */
  readonly onCrash: (crash: Crash) => void;
}

export interface Crash {
  readonly release: string;
  readonly reason: string;
  readonly delayMs: number;
  /** Whose fault it is; left out: the release's. */
  readonly blame?: Blame;
}

export type SupervisorState =
  | { readonly kind: "stopped" }
  | { readonly kind: "starting"; readonly next: Generation }
  | { readonly kind: "running"; readonly current: Generation; readonly release: string }
  | { readonly kind: "reloading"; readonly current: Generation; readonly next: Generation }
  | { readonly kind: "backoff"; readonly release: string; readonly reason: string };

/** How often the app was restarted, and why: `crash`: it had died, and was started again. */
export type RestartCounts = Readonly<Record<"deploy" | "signal" | "crash", number>>;

/**
 * Keeps one release of the app running. Changes run one at a time; a new generation always starts before the old
 * one stops, and until it has proved itself the old one is not touched.
 */
export class Supervisor implements AsyncDisposable {
  #state: SupervisorState = { kind: "stopped" };
  #deaths: RestartHistory = noDeaths;
  #pendingRestart = new AbortController();
  #isStopping = false;
  readonly #restarts = { deploy: 0, signal: 0, crash: 0 };
  readonly #changes = new Mutex();

  private constructor(
    private readonly deps: SupervisorDeps,
    private readonly generations: Generations,
    private readonly vetting: Vetting,
  ) {}

  /** Opens the listeners, from a predecessor's app where one still runs. Fails with `port-in-use`. */
  static async open(options: SupervisorOptions, deps: SupervisorDeps, c: Call): Promise<Supervisor> {
    const generations = await Generations.open(options, deps, c);
    return new Supervisor(deps, generations, new Vetting(options, deps, generations));
  }

  get state(): SupervisorState {
    return this.#state;
  }

  get restarts(): RestartCounts {
    return this.#restarts;
  }

  get checks(): HealthCounts | null {
    return this.vetting.counts;
  }

  /**
   * Has a release that is known to be good running, and keeps it so: adopts the run of it that was found, or
   * starts it. A start is not awaited to prove itself: there is nothing to fall back to.
   */
  resume(release: string, c: Call): Promise<"adopted" | "started"> {
    return this.#changes.run(async () => {
      const found = this.generations.alive.findLast((run) => run.release === release || run.release === null);
      const newest = found ?? this.generations.alive.at(-1);
      if (this.generations.diedUnwatched(release)) this.deps.onCrash(unwatchedCrash(release));
      this.generations.forgetEnded(release);
      if (newest === undefined) {
        this.#startOrBackOff(release);
        return "started";
      }
      this.generations.retireOthers(newest);
      this.#become(newest, found === undefined ? (newest.release ?? release) : release, "well");
      if (found !== undefined && this.generations.startedAlike) return "adopted";
      await this.#replace(unchanged(release), c);
      return "started";
    });
  }

  /** Start-first change to another release: all of it happens or none. Fails with `start-failed`. */
  replace(change: Change, c: Call): Promise<"started" | "restarted"> {
    return this.#changes.run(async () => {
      const how = await this.#replace(change, c);
      if (how === "restarted") this.#restarts.deploy += 1;
      return how;
    });
  }

  /** The same release in a new generation (SIGHUP); an app in back-off is started at once. */
  restart(c: Call): Promise<void> {
    return this.#changes.run(async () => {
      // Looked at only now: the change before this one decides which release it is.
      const state = this.#state;
      if (state.kind === "backoff") this.#startOrBackOff(state.release);
      if (state.kind === "running") await this.#replace(unchanged(state.release), c);
      if (state.kind === "backoff" || state.kind === "running") this.#restarts.signal += 1;
    });
  }

  /** From now on an end of the app is none to be told of or made good: whoever stops dewy may stop the app, too. */
  beginStop(): void {
    this.#isStopping = true;
    this.#pendingRestart.abort();
    this.vetting.unfollow();
    this.generations.beginStop();
  }

  /** Stops every generation and gives the ports back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.beginStop();
    await this.#changes.run(async () => {
      this.#state = { kind: "stopped" };
      this.vetting.unfollow();
      this.#pendingRestart.abort();
      await this.generations.close();
    });
  }

  async #replace(change: Change, c: Call): Promise<"started" | "restarted"> {
    c.signal.throwIfAborted();
    // What finds its files through `current` gets none of a release that has not passed.
    await this.vetting.rehearse(change, this.#serving, c);
    let before = this.#state;
    if (before.kind === "running") await this.vetting.settle(before.current, change, c);
    let next: Generation | null = null;
    let verdict: Verdict;
    try {
      await change.prepare();
      // The old one may have died meanwhile. Until the next one is started, its restart stays due.
      before = this.#state;
      next = this.generations.start(change.release);
      this.#pendingRestart.abort();
      this.#state =
        before.kind === "running"
          ? { kind: "reloading", current: before.current, next }
          : { kind: "starting", next };
      const serving = before.kind === "running" ? before.current : null;
      verdict = await this.vetting.prove(next, change, serving, c);
      await change.commit();
    } catch (error) {
      await this.#takeBack(change, next, before);
      throw error;
    }
    this.#deaths = noDeaths;
    this.generations.forgetEnded(change.release);
    this.generations.retireOthers(next);
    this.#become(next, change.release, verdict);
    return before.kind === "running" ? "restarted" : "started";
  }

  /** Whatever else fails, the supervisor goes on with what it had. */
  async #takeBack(change: Change, next: Generation | null, before: SupervisorState): Promise<void> {
    const stopping = next === null ? null : this.generations.stop(next);
    try {
      await change.undo();
    } catch (error) {
      this.deps.log.error("Failed change not taken back", { error: messageOf(error) });
    }
    // Not after it has ended: where the old one has died meanwhile, clients wait.
    if (next !== null) this.#fallBack(before);
    await stopping;
  }

  /** After a failed change things are as before it, unless the old generation died meanwhile. */
  #fallBack(before: SupervisorState): void {
    switch (before.kind) {
      case "running":
        this.#become(before.current, before.release, "well");
        return;
      case "backoff":
        this.#startOrBackOff(before.release);
        return;
      case "stopped":
      case "starting":
      case "reloading":
        this.#state = { kind: "stopped" };
        return;
      default:
        unreachable(before);
    }
  }

  get #serving(): Generation | null {
    return this.#state.kind === "running" ? this.#state.current : null;
  }

  #become(current: Generation, release: string, verdict: Verdict | null): void {
    this.#state = { kind: "running", current, release };
    this.vetting.follow(current, release, verdict);
    void current.exited.then((exit) => this.#onExit(current, describeExit(exit)));
  }

  #onExit(generation: Generation, reason: string): void {
    // While a change runs, its outcome decides; a generation that was replaced may end.
    if (this.#state.kind !== "running" || this.#state.current !== generation) return;
    const { release } = this.#state;
    const uptimeMs = this.deps.clock.monotonicMs() - generation.startedMs;
    this.generations.bury(generation);
    this.#backOff(release, { reason: `the server ${reason}`, blame: "release" }, uptimeMs);
  }

  #startOrBackOff(release: string): void {
    this.#pendingRestart.abort();
    try {
      this.#become(this.generations.start(release), release, null);
    } catch (error) {
      const { message: reason, blame } = toDewyError(error, "start");
      this.#backOff(release, { reason, blame }, 0);
    }
  }

  #backOff(release: string, { reason, blame }: { reason: string; blame: Blame }, uptimeMs: number): void {
    const { history, delayMs } = nextRestart(this.#deaths, uptimeMs);
    this.#deaths = history;
    this.#state = { kind: "backoff", release, reason };
    if (this.#isStopping) return;
    this.deps.onCrash({ release, reason, delayMs, blame });
    this.#pendingRestart = new AbortController();
    const { signal } = this.#pendingRestart;
    const restart = () =>
      this.#changes.run(async () => {
        if (signal.aborted) return;
        this.#restarts.crash += 1;
        this.#startOrBackOff(release);
      });
    void this.deps.clock.sleep(delayMs, signal).then(restart, () => undefined);
  }
}

/** It is started at once: nobody was there to do so before. */
function unwatchedCrash(release: string): Crash {
  return { release, reason: "the server ended while no agent watched it", delayMs: 0, blame: "release" };
}
