import { join } from "node:path";
import { threadOf } from "../activate/thread.ts";
import { DewyError, toDewyError } from "../errors.ts";
import type { NotifierView } from "../notify/sender.ts";
import type { Registry } from "../registry/registry.ts";
import type { Call } from "../util/async.ts";
import type { AppFailure, CrashLoop } from "./back/going-back.ts";
import { restoreRecorded } from "./back/restore.ts";
import { Retreat } from "./back/retreat.ts";
import { Check } from "./check.ts";
import type { DeployDeps } from "./deploy/deploy.ts";
import { Reporter } from "./deploy/report.ts";
import { type Outcome, Rollout, whatOf } from "./deploy/rollout.ts";
import type { History } from "./history.ts";
import type { LiveSettings } from "./live.ts";
import { Notes } from "./notes.ts";
import type {
  AgentView,
  Operations,
  Order,
  OrderProgress,
  OrderResult,
  Preview,
} from "./orders/operations.ts";
import { Orders } from "./orders/orders.ts";
import { previewInTurn, previewOf } from "./orders/preview.ts";
import { Turns } from "./orders/turns.ts";
import { viewOf } from "./orders/view.ts";
import { pauseMs, pauseUntilNextCheck } from "./pace.ts";
import { Tick } from "./tick.ts";
import { Wake } from "./wake.ts";

export interface AgentDeps extends DeployDeps {
  readonly registry: Registry;
  readonly history: History;
  /** The state was not there: what lies on disk may tell what runs. */
  readonly freshState: boolean;
  /** Where in the interval the checks fall, from phaseOf(); null: wherever the first one put them. */
  readonly phase: number | null;
  readonly report: boolean;
  /** `dewy retry` leaves it for the agent to find. */
  readonly retryRequest: string;
  /** How those who tell people are. */
  readonly notifiers: () => readonly NotifierView[];
  /** Work is done, and what follows is waiting. */
  readonly onQuiet: () => void;
  /** Dewy's own. */
  readonly version: string;
  readonly crashLoop: CrashLoop;
  /** Reads the configuration file anew and puts what it changes into effect; null: there is none. */
  readonly reload: (() => Promise<LiveSettings>) | null;
}

/** One host's loop: look what is newest, decide, deploy, tell; and between its checks do what operators order. */
export class Agent implements Operations {
  readonly #startedAt: Date;
  readonly #turns: Turns;
  readonly #notes: Notes;
  readonly #wake: Wake;
  readonly #check: Check;
  readonly #tick: Tick;
  readonly #retreat: Retreat;
  readonly #orders: Orders;
  /** From begin() on. */
  #life: Call | null = null;

  constructor(private readonly deps: AgentDeps) {
    this.#startedAt = deps.clock.now();
    this.#turns = new Turns(deps.clock);
    this.#notes = new Notes(deps);
    this.#wake = new Wake(deps.clock);
    this.#check = new Check(deps);
    const reporter = new Reporter({ ...deps, registry: deps.report ? deps.registry : null });
    const parts = { ...deps, reporter, notes: this.#notes, turns: this.#turns };
    const rollout = new Rollout(parts);
    this.#retreat = new Retreat(parts, rollout);
    this.#orders = new Orders({ ...parts, wake: () => this.#wake.now() }, rollout);
    this.#tick = new Tick({ ...parts, check: this.#check, rollout, retreat: this.#retreat });
  }

  /** Cleans up after a crash, takes over what runs, and serves the recorded release before anything is asked. */
  begin(c: Call): Promise<void> {
    this.#life = c;
    return this.#turns.take("the agent's start", () => this.#begin(c));
  }

  async #begin(c: Call): Promise<void> {
    const { state, delivery, log, announcer, settings } = this.deps;
    // The last agent may have died between the commit and the telling.
    const { unreported } = state.state;
    if (unreported !== null) announcer.catchUp(unreported, settings.hasPort, this.#currentThread);
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
      await delivery.resume(restoreRecorded(delivery, state.state), c);
    } catch (error) {
      c.signal.throwIfAborted();
      this.#notes.logFailure(toDewyError(error, "start the recorded release"));
    }
  }

  /** Checks until `c` aborts; rejects with its reason, once what was begun by order is over, too. */
  async run(c: Call): Promise<never> {
    try {
      return await this.#keepChecking(c);
    } finally {
      await this.end();
    }
  }

  /** Nothing begins any more. Resolves once nothing is under way: what the agent consists of may be closed then. */
  end(): Promise<void> {
    return this.#turns.end();
  }

  async #keepChecking(c: Call): Promise<never> {
    const { clock } = this.deps;
    for (let first = true; ; first = false) {
      const checkedAt = clock.now();
      const outcome = await this.tick(c);
      if (first || outcome.kind === "deployed") this.deps.onQuiet();
      // A registry that asked for patience, or that is failing, is asked no sooner than it may be.
      const patienceMs = outcome.kind === "failed" ? (outcome.failure.retryAfterMs ?? 0) : 0;
      const leastMs = Math.max(patienceMs, this.deps.registry.minIntervalMs());
      const now = clock.now();
      const ms = pauseMs(this.#ownPauseMs(), this.#dues, { checkedAt, now, leastMs });
      this.#notes.nextPollAt = new Date(now.getTime() + ms);
      await this.#wake.pause(ms, patienceMs, c);
    }
  }

  /** One check, and the deploy if it finds one. Rejects only when `c` aborts. */
  tick(c: Call): Promise<Outcome> {
    return this.#turns.take("a check", () => this.#tick.run(c));
  }

  /** For how long the work under way has come no further. */
  get stillMs(): number {
    return this.#turns.stillMs;
  }

  view(): AgentView {
    const { state, delivery, settings, version, clock, notifiers } = this.deps;
    return viewOf({
      command: settings.command,
      version,
      startedAt: this.#startedAt,
      state: state.state,
      notes: this.#notes,
      busy: this.#turns.current,
      notifiers: notifiers(),
      status: delivery.status(),
      now: clock.now(),
    });
  }

  check(c: Call): Promise<Preview> {
    const { state, clock } = this.deps;
    const look = async () => previewOf(await this.#check.ask("look", c), state.state, clock.now());
    const underWay = (what: string): Preview => ({
      newest: this.#notes.lastPoll?.newest ?? null,
      current: state.state.current?.tag ?? null,
      wouldDeploy: false,
      reason: `${what} is under way`,
      notBefore: null,
    });
    return previewInTurn(this.#turns, { look, underWay }, c);
  }

  carryOut(order: Order, onProgress: (progress: OrderProgress) => void, c: Call): Promise<OrderResult> {
    if (this.#life === null) return Promise.reject(new DewyError("stopped", "the agent is starting"));
    return this.#orders.carryOut(order, onProgress, this.#life, c);
  }

  /**
   * The app failed while it was not being deployed. true: its release should be left; that the one before comes back, or
   * can't, is what people are told, unless the agent is being stopped. Safe to be called from anywhere: it waits for nothing.
   */
  appFailed(failure: AppFailure): boolean {
    const life = this.#life;
    if (life === null) return false;
    const way = this.#retreat.decide(failure, life);
    if (way.kind !== "back") return way.kind === "strands";
    const what = () => whatOf({ tag: this.#previousTag, cause: "retreat" });
    const done = way.decided.then(() => this.#turns.take(what(), () => this.#retreat.run(life)));
    // It fails by the agent's end alone, and then the next agent goes on with it.
    void done.then(
      (wasTried) => wasTried && this.#wake.now(),
      () => undefined,
    );
    return true;
  }

  #ownPauseMs(): number {
    const { registry, phase, clock, live } = this.deps;
    const intervalMs = Math.max(live.settings.intervalMs, registry.minIntervalMs());
    return phase === null ? intervalMs : pauseUntilNextCheck(clock.now().getTime(), intervalMs, phase);
  }

  /** What is to be looked at then, whenever the next check would be. */
  get #dues(): Date[] {
    const { retreat } = this.deps.state.state;
    const dues = [this.#notes.waiting?.until, retreat?.nextTryAt];
    return dues.filter((due) => typeof due === "string").map((due) => new Date(due));
  }

  /** Of the release that was deployed last; images bring none. */
  get #currentThread(): string | null {
    const { state, settings } = this.deps;
    const { current, unreported } = state.state;
    if (current === null || current.tag !== unreported?.tag || settings.command === "container") return null;
    return threadOf(join(settings.root, "releases", current.release));
  }

  get #previousTag(): string {
    return this.deps.state.state.previous?.tag ?? "";
  }
}
