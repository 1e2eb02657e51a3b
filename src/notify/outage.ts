import { type DewyError, messageOf } from "../errors.ts";
import { duration, type Log } from "../log.ts";
import type { Clock } from "../util/time.ts";

/**
 * Why a notifier's notices wait. `away`: it may pass by itself. `refused`: somebody has to put something right.
 * `unread`: the disk does not give the notice back.
 */
export type Obstacle = "away" | "refused" | "unread";

/** How long to leave the service alone; `named`: because it said so. */
export interface Pause {
  readonly ms: number;
  readonly named: boolean;
}

export interface OutageDeps {
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Log;
  /** 0 ≤ value < 1; hosts that lost a service together don't come back together. */
  readonly random: () => number;
}

const warnings: Readonly<Record<Obstacle, string>> = {
  away: "Notifier not reached; its notices wait",
  refused: "Notifier refused; its notices wait until that is put right",
  unread: "Notice not readable; it waits",
};
const pausesMs: Readonly<Record<Obstacle, { readonly first: number; readonly most: number }>> = {
  away: { first: 1000, most: 5 * 60_000 },
  // Nobody mends a token within a second, and a service may lock out who asks too often.
  refused: { first: 60_000, most: 60 * 60_000 },
  unread: { first: 1000, most: 5 * 60_000 },
};
/** A service that says "come back in a year" is asked again before. */
const longestLimitMs = 65 * 60_000;

/** One notifier's time without success: one WARN for each obstacle, ever longer pauses, one INFO at its end. */
export class Outage {
  #sinceMs: number | null = null;
  #obstacle: Obstacle | null = null;
  #problem: string | null = null;
  /** Tries in a row that failed by the same obstacle. */
  #failures = 0;
  readonly #told = new Set<Obstacle>();

  constructor(
    private readonly name: string,
    private readonly deps: OutageDeps,
  ) {}

  /** Why the last try failed; null: it did not. */
  get problem(): string | null {
    return this.#problem;
  }

  failed(obstacle: Obstacle, failure: DewyError): Pause {
    const { clock, log, random } = this.deps;
    this.#failures = obstacle === this.#obstacle ? this.#failures + 1 : 1;
    this.#obstacle = obstacle;
    this.#problem = messageOf(failure);
    this.#sinceMs ??= clock.monotonicMs();
    if (!this.#told.has(obstacle)) {
      log.warn(warnings[obstacle], { notifier: this.name, error: messageOf(failure), hint: failure.hint });
    }
    this.#told.add(obstacle);
    const { first, most } = pausesMs[obstacle];
    const fullMs = Math.min(most, first * 2 ** Math.min(this.#failures - 1, 20));
    const ownMs = fullMs / 2 + (fullMs / 2) * random();
    const namedMs = Math.min(failure.retryAfterMs ?? 0, longestLimitMs);
    return { ms: Math.max(ownMs, namedMs), named: namedMs > 0 };
  }

  /** A notice was taken; `waited`: how many had gathered, this one included. */
  over(waited: number): void {
    if (this.#sinceMs === null) return;
    const { clock, log } = this.deps;
    const after = duration(Math.round(clock.monotonicMs() - this.#sinceMs));
    log.info("Notifier works again", { notifier: this.name, waited, after });
    this.#sinceMs = null;
    this.#obstacle = null;
    this.#problem = null;
    this.#failures = 0;
    this.#told.clear();
  }
}
