import { DewyError, type ErrorCode } from "../../errors.ts";
import { formatDuration } from "../../util/time.ts";

/** Why the registry could not be asked, as the hosts tell each other. */
export interface SharedFailure {
  /** By the clock of the host that asked. */
  readonly at: Date;
  readonly by: string;
  /** Tries that failed in a row, this one among them; an answer begins anew. */
  readonly failures: number;
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
/** Far more than there is a difference between. */
export const maxFailures = 1000;

const maxBackoffMs = 5 * 60_000;

/** Another host may fare better: the credentials, or what is left of their limit, are those of the one that asked. */
export function isHostsOwn({ code }: Pick<SharedFailure, "code">): boolean {
  return code === "unauthorized" || code === "rate-limited";
}

export function sharedFailure(
  error: DewyError,
  about: Pick<SharedFailure, "at" | "by" | "failures">,
): SharedFailure {
  const { message, hint, retryAfterMs } = error;
  const own = codes.find((known) => known === error.code) ?? "internal";
  return {
    ...about,
    failures: Math.min(about.failures, maxFailures),
    code: own,
    message: message.slice(0, maxMessage) || "no reason given",
    hint: hint?.slice(0, maxMessage) || null,
    retryAfterMs:
      retryAfterMs === undefined || isHostsOwn({ code: own })
        ? null
        : Math.min(Math.max(0, retryAfterMs), maxRetryAfterMs),
  };
}

/**
 * From the last try (null: it succeeded) to the next: after failures 2, 4, 8 s and so on, up to five minutes, so that
 * a fleet asks a registry that is down as seldom as one host does, although each time another host asks. No jitter:
 * of the hosts that count one failure, one asks.
 */
export function restAfterMs(
  failure: Pick<SharedFailure, "failures" | "retryAfterMs" | "code"> | null,
  windowMs: number,
): number {
  if (failure === null || failure.code === "unauthorized") return windowMs;
  const backoffMs = Math.min(maxBackoffMs, 1000 * 2 ** failure.failures);
  return Math.max(windowMs, failure.retryAfterMs ?? 0, backoffMs);
}

export interface FailureAges {
  /** Of an answer that is too old to be served, infinite where no clock tells; null: there is none. */
  readonly answerMs: number | null;
  /** Of the failure itself. */
  readonly failureMs: number;
}

/** The failure as this host tells it; `owner` is this host. */
export function errorOf(
  failure: SharedFailure,
  ages: FailureAges,
  owner: string,
  cause?: unknown,
): DewyError {
  const { code, hint, retryAfterMs } = failure;
  const message =
    failure.by === owner ? failure.message : `${failure.message} (asked by ${hostOf(failure.by)})`;
  const patienceMs = retryAfterMs === null ? 0 : retryAfterMs - ages.failureMs;
  const details = { cause, ...(patienceMs > 0 ? { retryAfterMs: patienceMs } : {}) };
  if (ages.answerMs === null) return new DewyError(code, message, { hint: hint ?? undefined, ...details });
  return new DewyError(code, `${message}; the last answer is ${ageOf(ages.answerMs)}, too old to be served`, {
    hint: hint ?? "see why the registry fails, or raise registry-stale-max=",
    ...details,
  });
}

/** An owner's first part. */
export function hostOf(owner: string): string {
  return owner.split("/")[0] ?? owner;
}

function ageOf(ms: number): string {
  return Number.isFinite(ms) ? `${formatDuration(Math.round(ms / 1000) * 1000)} old` : "of unknown age";
}
