import { type DewyError, type ErrorCode, toDewyError } from "../errors.ts";
import type { Call } from "./async.ts";
import type { Clock } from "./time.ts";

export interface PatienceOptions {
  readonly clock: Clock;
  /** Failures in a row, without progress between them, that end a transfer; 5 unless given. */
  readonly maxFailures?: number | undefined;
  /** What is worth another try: cuts, outages and limits unless given. */
  readonly codes?: ReadonlySet<ErrorCode>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** A service that asks for more patience than this is left to the caller's next try. */
const longestWaitMs = 60_000;
const resumable: ReadonlySet<ErrorCode> = new Set([
  "network-unreachable",
  "network-timeout",
  "http-status",
  "rate-limited",
]);

/** How often, and after how long, one transfer is tried again after a cut or an outage. */
export class Patience {
  #failures = 0;

  constructor(private readonly options: PatienceOptions) {}

  /** Call it when bytes came through: earlier failures count no more. */
  renew(): void {
    this.#failures = 0;
  }

  /** Resolves when it is time to try again; throws `failure` when that is of no use. */
  async after(failure: DewyError, c: Call): Promise<void> {
    const { clock, maxFailures = 5 } = this.options;
    this.#failures += 1;
    if (!this.#mayPass(failure) || this.#failures > maxFailures) throw failure;
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#failures - 1));
    await clock.sleep(Math.max(pauseMs, failure.retryAfterMs ?? 0), c.signal);
  }

  #mayPass({ code, retryable, retryAfterMs = 0 }: DewyError): boolean {
    return retryable && (this.options.codes ?? resumable).has(code) && retryAfterMs <= longestWaitMs;
  }
}

/** Tries until it is done, or failed for good. */
export async function persist<T>(
  attempt: () => Promise<T>,
  doing: string,
  options: PatienceOptions,
  c: Call,
): Promise<T> {
  const patience = new Patience(options);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      c.signal.throwIfAborted();
      await patience.after(toDewyError(error, doing), c);
    }
  }
}
