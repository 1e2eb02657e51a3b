import type { Delivery } from "../activate/delivery.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { Registry, SharedOrigin } from "../registry/registry.ts";
import type { DeployableRelease, Release } from "../release/release.ts";
import type { TagOrder } from "../release/version.ts";
import { evaluate, type Timing } from "../schedule/evaluate.ts";
import { spreadOf } from "../schedule/spread.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { type Decision, decide } from "./decide.ts";
import type { LiveSettings } from "./live.ts";
import { between, isKnownYoung, readyFrom, sighted } from "./sightings.ts";
import type { State, StateFile } from "./state.ts";

export interface CheckDeps {
  readonly registry: Pick<Registry, "latest" | "find">;
  readonly delivery: Pick<Delivery, "isIntact" | "setup">;
  readonly state: Pick<StateFile, "state" | "learn">;
  readonly live: { readonly settings: Pick<LiveSettings, "rules"> };
  readonly order: TagOrder;
  readonly settings: { readonly host: string; readonly root: string };
  readonly clock: Clock;
  readonly log: Log;
}

/** What the registry offers this host, and what is to be done about it. */
export interface Finding {
  readonly newest: Release | null;
  /** Which release the decision is about: the newest, or an older one that comes before it. */
  readonly about: Release | null;
  readonly decision: Decision;
  /** The registry fails, and this is what the hosts of the fleet know of before; null: it does not. */
  readonly stale: SharedOrigin | null;
}

type About = Pick<Finding, "about" | "decision">;

const askDeadlineMs = 5 * 60_000;

/** Asks the registry and decides; deploys nothing. */
export class Check {
  constructor(private readonly deps: CheckDeps) {}

  /** `look`: for somebody who wants to know; nothing is written. */
  async ask(mode: "tick" | "look", c: Call): Promise<Finding> {
    const { registry, state, clock, log } = this.deps;
    const { release: newest, otherSlot, shared } = await registry.latest(withDeadline(c, askDeadlineMs));
    if (otherSlot !== null && mode === "tick") log.debug(records.slotMismatch, { tag: otherSlot });
    const isNews = newest !== null && newest.tag !== state.state.current?.tag;
    const sightings = isNews ? sighted(state.state, newest, clock.now()) : null;
    if (sightings !== null && mode === "tick") state.learn({ sightings });
    const decision = this.#decide(newest);
    const other = newest === null ? null : await this.#instead(newest, decision, c);
    const stale = shared?.isStale === true ? shared : null;
    return { newest, stale, ...(other ?? { about: newest, decision }) };
  }

  /** A release that is to be deployed although it is not the newest; null: there is none. */
  async #instead(newest: Release, decision: Decision, c: Call): Promise<About | null> {
    if (decision.kind === "wait" && decision.reason === "min-age") {
      const older = await this.#oldEnough(newest, c);
      if (older !== null) return older;
    }
    const stays = decision.kind === "wait" || decision.kind === "skip";
    const { current } = this.deps.state.state;
    if (!stays || this.isIntact || current === null || newest.tag === current.tag) return null;
    const about = await this.#find(current.tag, c);
    return about && { about, decision: this.#decide(about) };
  }

  /** Where releases come faster than they get old, the newest would keep all of them from being deployed. */
  async #oldEnough(newest: Release, c: Call): Promise<About | null> {
    const { state, order, live, clock } = this.deps;
    const { minAgeMs } = live.settings.rules;
    const now = clock.now();
    const sightings = state.state.sightings.filter((each) => !isKnownYoung(each, minAgeMs, now));
    for (const tag of between({ ...state.state, sightings }, newest.tag, order)) {
      const about = await this.#find(tag, c);
      if (about === null) continue;
      const decision = this.#decide(about);
      const isYoung = decision.kind === "wait" && decision.reason === "min-age";
      if (!isYoung && decision.kind !== "skip") return { about, decision };
    }
    return null;
  }

  get isIntact(): boolean {
    const { delivery, state } = this.deps;
    return state.state.current !== null && delivery.isIntact(state.state.current);
  }

  #find(tag: string, c: Call): Promise<Release | null> {
    return this.deps.registry.find(tag, withDeadline(c, askDeadlineMs));
  }

  #decide(release: Release | null): Decision {
    const { state, order, clock, delivery } = this.deps;
    const now = clock.now();
    return decide(release, {
      state: state.state,
      intact: this.isIntact,
      setup: delivery.setup,
      now,
      order,
      when: (deployable) => this.#timingOf(deployable, state.state, now),
    });
  }

  #timingOf(release: DeployableRelease, state: State, now: Date): Timing {
    const { host, root } = this.deps.settings;
    const candidate = {
      tag: release.tag,
      readyFrom: readyFrom(release, state, now),
      isFirst: state.current === null,
      spread: spreadOf(host, root, release.tag),
    };
    return evaluate(this.deps.live.settings.rules, candidate, now);
  }
}
