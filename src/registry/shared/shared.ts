import { DewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import { duration, type Log } from "../../log.ts";
import type { DeployRecord, Release } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Latest, Registry, SharedOrigin } from "../registry.ts";
import { decideAlone, spreadOf } from "./alone.ts";
import { Claims, type Held } from "./claims.ts";
import { decide, type View } from "./decide.ts";
import type { SharedEntry } from "./entry.ts";
import { errorOf, hostOf, restAfterMs, type SharedFailure } from "./failure.ts";
import { Knowledge } from "./known.ts";
import type { SharedMemory } from "./memory.ts";
import { Outage } from "./outage.ts";
import { registryIn } from "./scope.ts";
import { claimAgeMs, likelyAgeMs, restAgeMs } from "./sighting.ts";
import { EntrySlot, type Look } from "./slot.ts";
import { Tenure } from "./tenure.ts";
import { type Asked, askDeadlineMs, Upstream } from "./upstream.ts";

export interface ShareOptions {
  /** From shareScope(). */
  readonly scope: string;
  /** For how long an answer serves the fleet. */
  readonly ttlMs: number;
  /** How old an answer may get while the registry fails. */
  readonly staleMaxMs: number;
  /** This agent, `host/…`: the others see who asked. */
  readonly owner: string;
}

export interface ShareDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ value < 1 */
  readonly random: () => number;
}

/**
 * A registry that one host asks for all: `latest` answers from an entry in the cache that the fleet shares. One call
 * a window (`ttlMs`, or the registry's own minimum where that is longer); the registry has 4½ minutes for it. While the
 * registry fails, or who asks it dies, the last answer is served on, up to `staleMaxMs`; then the registry's failure is
 * everybody's. A registry that fails is asked less and less often, up to every five minutes. While the cache is down
 * each host asks for itself. The rest is passed on; `upstream` and `memory` are the caller's to close.
 */
export function shareRegistry(
  upstream: Registry,
  memory: SharedMemory,
  options: ShareOptions,
  deps: ShareDeps,
): Registry {
  return new SharedRegistry(upstream, memory, options, deps);
}

const pollMs = { least: 500, spread: 1000 } as const;
/** Some polls longer than the one who asks may take, and less than the five minutes of a check. */
const waitMs = askDeadlineMs + 15_000;
class SharedRegistry implements Registry {
  readonly #name: string;
  readonly #outage: Outage;
  readonly #slot: EntrySlot;
  readonly #claims: Claims;
  readonly #upstream: Upstream;
  readonly #knowledge = new Knowledge();
  /** The failure that was told last. */
  #told: string | null = null;

  constructor(
    private readonly registry: Registry,
    memory: SharedMemory,
    private readonly options: ShareOptions,
    private readonly deps: ShareDeps,
  ) {
    const { scope, owner } = options;
    const { clock } = deps;
    this.#name = registryIn(scope);
    this.#outage = new Outage(this.#name, deps);
    this.#slot = new EntrySlot(scope, memory, this.#outage, deps);
    this.#claims = new Claims(this.#slot, { owner, clock });
    this.#upstream = new Upstream(registry, { scope, owner, clock });
  }

  async latest(c: Call): Promise<Latest> {
    const { clock, random } = this.deps;
    const untilMs = clock.monotonicMs() + waitMs;
    for (let lost = 0; clock.monotonicMs() < untilMs; ) {
      const look = await this.#slot.look(c);
      if (look === null) return this.#alone(c);
      this.#learn(look);
      const mine = this.#claims.inDoubt(look);
      if (mine !== null) return this.#refresh(mine, c);
      const failure = look.entry?.failure ?? null;
      const view = this.#view(look);
      const decision = decide(look.entry, view, this.#rules());
      if (decision.kind === "serve") return this.#serve(failure);
      if (decision.kind === "fail") throw this.#failureOf(failure, view);
      if (decision.kind === "claim") {
        const claimed = await this.#claims.make(look, c);
        if (claimed !== null) return this.#refresh(claimed, c);
        if (this.#outage.sinceMs !== null) return this.#alone(c);
        if (lost++ === 0) continue;
      }
      await clock.sleep(pollMs.least + pollMs.spread * random(), c.signal);
    }
    throw this.#waitedInVain();
  }

  find(tag: string, c: Call): Promise<Release | null> {
    return this.registry.find(tag, c);
  }

  report(record: DeployRecord, c: Call): Promise<void> {
    return this.registry.report(record, c);
  }

  /** The registry's own minimum is kept by the window: it does not concern those who read the entry. */
  minIntervalMs(): number {
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #rules() {
    const { ttlMs, staleMaxMs, owner } = this.options;
    const windowMs = Math.max(ttlMs, this.registry.minIntervalMs());
    return { windowMs, staleMaxMs, owner, mayAsk: this.#upstream.mayAsk() };
  }

  #answerAgeMs(): number | null {
    return this.#knowledge.ageMs(this.deps.clock.monotonicMs());
  }

  #view({ claimSeen, trySeen }: Look) {
    const nowMs = this.deps.clock.monotonicMs();
    return {
      claimAgeMs: claimSeen === null ? 0 : claimAgeMs(claimSeen, nowMs),
      restedMs: trySeen === null ? 0 : restAgeMs(trySeen, nowMs, this.#rules().windowMs),
      answerAgeMs: this.#answerAgeMs(),
    };
  }

  #learn({ entry, answerSeen }: Look): void {
    const nowMs = this.deps.clock.monotonicMs();
    const answer = entry?.answer ?? null;
    const shared =
      answer === null || answerSeen === null
        ? null
        : { answer, atMs: nowMs - likelyAgeMs(answerSeen, nowMs) };
    this.#knowledge.learn(shared, this.#upstream.lastAnswer);
  }

  /** Asks, with the claim in hand, and tells the fleet. */
  async #refresh(held: Held, c: Call): Promise<Latest> {
    const { clock } = this.deps;
    const { answer, failure } = held.look.entry ?? { answer: null, failure: null };
    const tenure = new Tenure(held, this.#slot, clock);
    let outcome: Pick<SharedEntry, "answer" | "failure"> = { answer, failure };
    try {
      const asked = await this.#upstream.ask(failure?.failures ?? 0, c);
      if (asked.kind === "failed") outcome = { answer, failure: asked.failure };
      else {
        const { owner } = this.options;
        outcome = { answer: { latest: asked.latest, fetchedAt: clock.now(), by: owner }, failure: null };
      }
      await tenure.end(outcome, c);
      return this.#result(asked);
    } finally {
      if (c.signal.aborted) await tenure.handBack(outcome);
    }
  }

  /** Without the shared cache. */
  async #alone(c: Call): Promise<Latest> {
    const nowMs = this.deps.clock.monotonicMs();
    const rules = this.#rules();
    const asked = this.#upstream.lastAsked;
    const failure = asked?.kind === "failed" ? asked.failure : null;
    const situation = {
      nowMs,
      downSinceMs: this.#outage.sinceMs ?? nowMs,
      asked: asked && { atMs: asked.atMs, restMs: restAfterMs(failure, rules.windowMs) },
      answerAgeMs: this.#answerAgeMs(),
    };
    const [host = ""] = this.options.owner.split("/");
    const verdict = decideAlone(situation, { ...rules, spread: spreadOf(host, this.options.scope) });
    if (verdict === "serve") return this.#serve(failure);
    if (verdict === "fail" && failure !== null) {
      const ages = { answerMs: situation.answerAgeMs, failureMs: nowMs - (asked?.atMs ?? nowMs) };
      throw errorOf(failure, ages, this.options.owner);
    }
    return this.#result(await this.#upstream.ask(failure?.failures ?? 0, c));
  }

  /** What a try at the registry means to this host. */
  #result(asked: Asked): Latest {
    const ageMs = this.#answerAgeMs();
    if (asked.kind === "answered") {
      this.#knowledge.learn(null, asked);
      const { tag } = asked.latest.release ?? {};
      this.deps.log.info(records.answerRefreshed, { registry: this.#name, tag });
      return asked.latest;
    }
    if (ageMs === null) throw asked.error;
    if (ageMs > this.options.staleMaxMs)
      throw errorOf(asked.failure, { answerMs: ageMs, failureMs: 0 }, this.options.owner, asked.error);
    return this.#serve(asked.failure);
  }

  /** A registry that fails is told once a try, on every host: people may look into the log of any of them. */
  #serve(failure: SharedFailure | null): Latest {
    const { newest } = this.#knowledge;
    if (newest === null) throw this.#waitedInVain();
    const about = { age: duration(this.#answerAgeMs() ?? 0), registry: this.#name };
    const failed = failure === null ? this.#told : `${failure.at.getTime()} ${failure.by}`;
    if (failure !== null && failed !== this.#told) {
      this.deps.log.warn(records.answerStale, {
        error: failure.message,
        ...about,
        host: hostOf(failure.by),
      });
    } else this.deps.log.debug("Registry result served from the shared cache", about);
    this.#told = failed;
    return { ...newest.latest, shared: this.#origin(failure) };
  }

  #origin(failure: SharedFailure | null): SharedOrigin {
    const ageMs = this.#answerAgeMs() ?? 0;
    const asOf = new Date(this.deps.clock.now().getTime() - ageMs);
    const { windowMs } = this.#rules();
    return { asOf, windowMs, isStale: failure !== null, ...(failure && { failure: failure.message }) };
  }

  /** What the last try came to; this host's own where the fleet knows of none. */
  #failureOf(failure: SharedFailure | null, { answerAgeMs, restedMs }: View): unknown {
    const own = this.#upstream.lastAsked;
    const told = failure ?? (own?.kind === "failed" ? own.failure : null);
    if (told === null) return this.#waitedInVain();
    return errorOf(told, { answerMs: answerAgeMs, failureMs: restedMs }, this.options.owner);
  }

  #waitedInVain(): DewyError {
    return new DewyError("network-timeout", `${this.#name}: no host of the fleet got an answer in time`, {
      hint: "see the logs of the hosts that asked: this one waited for them",
    });
  }
}
