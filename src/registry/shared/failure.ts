import { DewyError, type ErrorCode } from "../../errors.ts";
import { formatDuration } from "../../util/time.ts";

/** Why the registry could not be asked, as the hosts tell each other. */
export interface SharedFailure {
  /** By the clock of the host that asked. */
  readonly at: Date;
  readonly by: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
  /** Counted from `at`: nobody asks before. */
  readonly retryAfterMs: number | null;
}

/** What a registry may fail of; anything else is told as `internal`. */
export const codes = [
  "network-unreachable",
  "network-timeout",
  "rate-limited",
  "http-status",
  "unauthorized",
  "not-found",
  "bad-answer",
  "artifact-missing",
  "filesystem",
  "internal",
] as const satisfies readonly ErrorCode[];

export const maxMessage = 2000;
/** No entry holds the fleet back for longer, whatever it says. */
export const maxRetryAfterMs = 65 * 60_000;

export function sharedFailure(error: DewyError, at: Date, by: string): SharedFailure {
  const { code, message, hint, retryAfterMs } = error;
  return {
    at,
    by,
    code: codes.find((known) => known === code) ?? "internal",
    message: message.slice(0, maxMessage) || "no reason given",
    hint: hint?.slice(0, maxMessage) || null,
    retryAfterMs: retryAfterMs === undefined ? null : Math.min(Math.max(0, retryAfterMs), maxRetryAfterMs),
  };
}

export interface FailureAges {
  /** Of an answer that is too old to be served; null: there is none. */
  readonly answerMs: number | null;
  /** Of the failure itself. */
  readonly failureMs: number;
}

/** The failure as this host's own. */
export function errorOf(failure: SharedFailure, ages: FailureAges, cause?: unknown): DewyError {
  const { code, message, hint, retryAfterMs } = failure;
  const patienceMs = retryAfterMs === null ? 0 : retryAfterMs - ages.failureMs;
  const details = { cause, ...(patienceMs > 0 ? { retryAfterMs: patienceMs } : {}) };
  if (ages.answerMs === null) return new DewyError(code, message, { hint: hint ?? undefined, ...details });
  const age = formatDuration(Math.round(ages.answerMs / 1000) * 1000);
  return new DewyError(code, `${message}; the last answer is ${age} old, too old to be served`, {
    hint: hint ?? "see why the registry fails, or raise registry-stale-max=",
    ...details,
  });
}
