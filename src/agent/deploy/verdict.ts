import { DewyError } from "../../errors.ts";
import { isSameContent } from "../../release/placed.ts";
import type { Digest } from "../../release/release.ts";
import { isStranded } from "../back/stranded.ts";
import { retryDelayMs } from "../decide.ts";
import { isFailureOf } from "../failure.ts";
import type { Failure, Quarantined, State } from "../state.ts";

export const maxQuarantined = 50;

/** What serves may end by chance while a release is checked: so many tries in a row it is the release that ends it. */
const maxServingEnds = 3;

interface FailedTry {
  readonly tag: string;
  /** The tag means other content than before, which may be good. */
  readonly moving: boolean;
  readonly digest: Digest | null;
  readonly fingerprint: string;
  readonly failure: DewyError;
  /** It was good, as what serves is not, which then ends of itself. */
  readonly returning: boolean;
  readonly now: Date;
}

export type Verdict =
  | {
      readonly kind: "quarantine";
      readonly quarantine: Quarantined[];
      readonly reason: string;
      readonly hint: string | null;
    }
  | { readonly kind: "retry"; readonly failure: Failure; readonly delayMs: number };

/**
 * What a failed try means for its release. Its own fault, with a good version serving: it is not tried again until
 * it changes. Anything else, or nothing to fall back on: again, later and later.
 */
export function judge(attempt: FailedTry, state: State): Verdict {
  const { tag, moving, digest, fingerprint, failure, now } = attempt;
  const before = isFailureOf(state.failure, attempt) ? state.failure : null;
  const servingEnds = servingEndsAfter(attempt, before, state);
  const isOther = state.current?.tag !== tag || (moving && state.current.digest !== digest);
  const goodOne = state.current !== null && isOther;
  const culprit = servingEnds < maxServingEnds ? failure : endsWhatServes(failure);
  if (culprit.blame === "release" && goodOne) {
    const isThis = (entry: Quarantined) => isSameContent(entry, { tag, digest });
    // The same bytes published again fail for what they failed for first.
    const reason = state.quarantine.find(isThis)?.reason ?? culprit.message;
    const others = state.quarantine.filter((entry) => !isThis(entry));
    const entry = { tag, digest, fingerprint, reason, at: now.toISOString() };
    const { message, hint = null } = culprit;
    return {
      kind: "quarantine",
      quarantine: [...others, entry].slice(-maxQuarantined),
      reason: message,
      hint,
    };
  }
  const count = (before?.count ?? 0) + 1;
  const delayMs = Math.max(retryDelayMs(count), failure.retryAfterMs ?? 0);
  const nextTryAt = new Date(now.getTime() + delayMs).toISOString();
  const lastError = failure.message;
  const entry = { tag, fingerprint, count, servingEnds, lastError, at: now.toISOString(), nextTryAt };
  return { kind: "retry", failure: entry, delayMs };
}

/**
 * A try that failed before anything was checked says nothing: it neither counts nor ends the row. What is to be left ends
 * of itself.
 */
function servingEndsAfter(
  { failure, returning }: FailedTry,
  before: Failure | null,
  state: Pick<State, "stranded" | "current">,
): number {
  if (returning || isStranded(state)) return 0;
  return (before?.servingEnds ?? 0) + (failure.code === "serving-ended" ? 1 : 0);
}

function endsWhatServes(failure: DewyError): DewyError {
  if (failure.code !== "serving-ended") return failure;
  return new DewyError(
    "start-failed",
    `each of ${maxServingEnds} tries ended what serves: ${failure.message}`,
    {
      hint: "look for what both versions share: memory, a lock, a database",
      cause: failure,
    },
  );
}
