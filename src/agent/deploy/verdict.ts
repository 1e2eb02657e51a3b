import type { DewyError } from "../../errors.ts";
import { isSameContent } from "../../release/placed.ts";
import type { Digest } from "../../release/release.ts";
import { retryDelayMs } from "../decide.ts";
import type { Failure, Quarantined, State } from "../state.ts";

export const maxQuarantined = 50;

interface FailedTry {
  readonly tag: string;
  /** The tag means other content than before, which may be good. */
  readonly moving: boolean;
  readonly digest: Digest | null;
  readonly fingerprint: string;
  readonly failure: DewyError;
  readonly now: Date;
}

export type Verdict =
  | { readonly kind: "quarantine"; readonly quarantine: Quarantined[] }
  | { readonly kind: "retry"; readonly failure: Failure; readonly delayMs: number };

/**
 * What a failed try means for its release. Its own fault, with a good version serving: it is not tried again until
 * it changes. Anything else, or nothing to fall back on: again, later and later.
 */
export function judge(attempt: FailedTry, state: State): Verdict {
  const { tag, moving, digest, fingerprint, failure, now } = attempt;
  const isOther = state.current?.tag !== tag || (moving && state.current.digest !== digest);
  const goodOne = state.current !== null && isOther;
  if (failure.blame === "release" && goodOne) {
    const isThis = (entry: Quarantined) => isSameContent(entry, { tag, digest });
    // The same bytes published again fail for what they failed for first.
    const reason = state.quarantine.find(isThis)?.reason ?? failure.message;
    const others = state.quarantine.filter((entry) => !isThis(entry));
    const entry = { tag, digest, fingerprint, reason, at: now.toISOString() };
    return { kind: "quarantine", quarantine: [...others, entry].slice(-maxQuarantined) };
  }
  const before = state.failure;
  const again = before?.tag === tag && before.fingerprint === fingerprint;
  const count = again ? before.count + 1 : 1;
  const delayMs = Math.max(retryDelayMs(count), failure.retryAfterMs ?? 0);
  const nextTryAt = new Date(now.getTime() + delayMs).toISOString();
  const entry = { tag, fingerprint, count, lastError: failure.message, at: now.toISOString(), nextTryAt };
  return { kind: "retry", failure: entry, delayMs };
}
