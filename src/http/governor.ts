import { DewyError } from "../errors.ts";
import { duration, type Log } from "../log.ts";
import type { Clock } from "../util/time.ts";

/** A server that says "come back in a year" must not stop the agent for one; GitHub's windows are an hour. */
const longestLimitMs = 65 * 60_000;
const firstBackoffMs = 1000;
/** A server in trouble is given time; one that cannot be reached costs nobody anything, so it is found again soon. */
const backoffCapMs = { server: 5 * 60_000, network: 60_000 } as const;

interface OriginState {
  failures: number;
  /** On the monotonic clock; 0 when free. */
  backoffUntilMs: number;
  limitedUntilMs: number;
  reason: string;
}

interface GovernorOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 ≤ value < 1; spreads hosts that failed together. */
  readonly random?: () => number;
}

/**
 * Decides whether an origin may be called now. While it may not, calls are refused here, without a request:
 * after a rate limit until the time the server named, after failures for an exponentially growing while.
 */
export class Governor {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #random: () => number;
  readonly #origins = new Map<string, OriginState>();

  constructor(options: GovernorOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#random = options.random ?? Math.random;
  }

  /** Throws `rate-limited` with `retryAfterMs` while the origin is to be left alone. */
  admit(origin: string, doing: string): void {
    const waitMs = this.waitMs(origin);
    if (waitMs <= 0) return;
    throw new DewyError(
      "rate-limited",
      `${doing}: not asking ${hostOf(origin)} for ${seconds(waitMs)} (${this.#state(origin).reason})`,
      { retryAfterMs: waitMs },
    );
  }

  /** How long the origin is to be left alone; 0 when it may be called. */
  waitMs(origin: string): number {
    const state = this.#origins.get(origin);
    if (state === undefined) return 0;
    return Math.max(0, Math.max(state.backoffUntilMs, state.limitedUntilMs) - this.#clock.monotonicMs());
  }

  succeeded(origin: string): void {
    const state = this.#origins.get(origin);
    if (state === undefined) return;
    state.failures = 0;
    state.backoffUntilMs = 0;
  }

  failed(origin: string, kind: keyof typeof backoffCapMs, reason: string): void {
    const state = this.#state(origin);
    const now = this.#clock.monotonicMs();
    // Calls that were under way together fail together: that is one failure, not several.
    if (state.backoffUntilMs > now) return;
    const fullMs = Math.min(backoffCapMs[kind], firstBackoffMs * 2 ** Math.min(state.failures, 20));
    const waitMs = fullMs / 2 + (fullMs / 2) * this.#random();
    state.failures += 1;
    state.backoffUntilMs = now + waitMs;
    state.reason = reason;
    this.#log.debug("HTTP origin backs off", { origin, reason, wait: duration(waitMs) });
  }

  limited(origin: string, forMs: number, reason: string): void {
    const state = this.#state(origin);
    const untilMs = this.#clock.monotonicMs() + Math.min(Math.max(forMs, 0), longestLimitMs);
    if (untilMs <= state.limitedUntilMs) return;
    state.limitedUntilMs = untilMs;
    state.reason = reason;
    this.#log.debug("HTTP origin limits calls", { origin, reason, wait: duration(forMs) });
  }

  #state(origin: string): OriginState {
    const known = this.#origins.get(origin);
    if (known !== undefined) return known;
    const fresh = { failures: 0, backoffUntilMs: 0, limitedUntilMs: 0, reason: "" };
    this.#origins.set(origin, fresh);
    return fresh;
  }
}

function hostOf(origin: string): string {
  return new URL(origin).host;
}

function seconds(ms: number): string {
  return `${Math.max(1, Math.ceil(ms / 1000))}s`;
}
