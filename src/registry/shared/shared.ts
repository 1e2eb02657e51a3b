import { DewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import { duration, type Log } from "../../log.ts";
import type { DeployRecord, Release } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Latest, Registry } from "../registry.ts";
import { decideAlone, spreadOf } from "./alone.ts";
import { Claims, type Held } from "./claims.ts";
import { decide } from "./decide.ts";
import { errorOf, type SharedFailure } from "./failure.ts";
import { Knowledge } from "./known.ts";
import type { SharedMemory } from "./memory.ts";
import { Outage } from "./outage.ts";
import { registryIn } from "./scope.ts";
import { likelyAgeMs, restAgeMs } from "./sighting.ts";
import { EntrySlot, type Look } from "./slot.ts";
import { type Asked, Upstream } from "./upstream.ts";

export interface ShareOptions {
  /** From shareScope(). */
  readonly scope: string;
  /** For how long an answer serves the fleet. */
  readonly ttlMs: number;
  /** How old an answer may get while the registry fails. */
  readonly staleMaxMs: number;
  /** This agent, `host/…`: the others see who asked. */
  readonly owner: string;
  /** How long the one who asks may take, and how long the others believe that it lives. */
  readonly claimMs?: number;
}

export interface ShareDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ value < 1 */
  readonly random: () => number;
}

/**
 * A registry that one host asks for all: `latest` answers from an entry in the cache that the fleet shares. One call
 * a window (`ttlMs`, or the registry's own minimum where that is longer). While the registry fails, or who asks it
 * dies, the last answer is served on, up to `staleMaxMs`; then the registry's failure is everybody's. While the cache
 * is down each host asks for itself. The rest is passed on; `upstream` and `memory` are the caller's to close.
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

class SharedRegistry implements Registry {
  readonly #name: string;
  readonly #claimMs: number;
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
    const { scope, ttlMs, owner } = options;
    const { clock } = deps;
    this.#name = registryIn(scope);
    this.#claimMs = options.claimMs ?? Math.max(30_000, Math.min(ttlMs, 60_000));
    this.#outage = new Outage(this.#name, deps);
    this.#slot = new EntrySlot(scope, memory, this.#outage, deps);
    this.#claims = new Claims(this.#slot, { owner, lengthMs: this.#claimMs, clock });
    this.#upstream = new Upstream(registry, { name: this.#name, owner, clock });
  }

  async latest(c: Call): Promise<Latest> {
    const { clock, random } = this.deps;
    // Two claims may die one after the other before anybody has an answer.
    const untilMs = clock.monotonicMs() + 3 * this.#claimMs;
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
      if (decision.kind === "fail" && failure !== null) {
        throw errorOf(failure, { answerMs: view.answerAgeMs, failureMs: view.restedMs });
      }
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
    const { ttlMs, staleMaxMs } = this.options;
    return { windowMs: Math.max(ttlMs, this.registry.minIntervalMs()), staleMaxMs };
  }

  #answerAgeMs(): number | null {
    return this.#knowledge.ageMs(this.deps.clock.monotonicMs());
  }

  #view({ seen }: Look) {
    const nowMs = this.deps.clock.monotonicMs();
    return {
      unchangedMs: seen === null ? 0 : nowMs - seen.firstSeenMs,
      restedMs: seen === null ? 0 : restAgeMs(seen, nowMs, this.#rules().windowMs),
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
  async #refresh({ look, atMs }: Held, c: Call): Promise<Latest> {
    const { clock } = this.deps;
    const asked = await this.#upstream.ask(this.#claimMs - (clock.monotonicMs() - atMs), c);
    if (asked.kind === "answered") {
      const answer = { latest: asked.latest, fetchedAt: clock.now(), by: this.options.owner };
      await this.#slot.swap(look.version, { answer, claim: null, failure: null }, c);
    } else {
      const { failure } = asked;
      await this.#slot.swap(look.version, { answer: look.entry?.answer ?? null, claim: null, failure }, c);
    }
    return this.#result(asked);
  }

  /** Without the shared cache. */
  async #alone(c: Call): Promise<Latest> {
    const nowMs = this.deps.clock.monotonicMs();
    const asked = this.#upstream.lastAsked;
    const failure = asked?.kind === "failed" ? asked.failure : null;
    const situation = {
      nowMs,
      downSinceMs: this.#outage.sinceMs ?? nowMs,
      asked: asked && { atMs: asked.atMs, retryAfterMs: failure?.retryAfterMs ?? 0 },
      answerAgeMs: this.#answerAgeMs(),
    };
    const [host = ""] = this.options.owner.split("/");
    const verdict = decideAlone(situation, { ...this.#rules(), spread: spreadOf(host, this.options.scope) });
    if (verdict === "serve") return this.#serve(failure);
    if (verdict === "fail" && failure !== null) {
      throw errorOf(failure, { answerMs: situation.answerAgeMs, failureMs: nowMs - (asked?.atMs ?? nowMs) });
    }
    return this.#result(await this.#upstream.ask(this.#claimMs, c));
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
      throw errorOf(asked.failure, { answerMs: ageMs, failureMs: 0 }, asked.error);
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
      });
    } else this.deps.log.debug("Registry result served from the shared cache", about);
    this.#told = failed;
    return newest.latest;
  }

  #waitedInVain(): DewyError {
    return new DewyError("network-timeout", `${this.#name}: no host of the fleet got an answer in time`, {
      hint: "see the logs of the hosts that asked: this one waited for them",
    });
  }
}
