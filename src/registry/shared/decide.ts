import type { SharedEntry } from "./entry.ts";

export interface View {
  /** The entry has certainly been as it is for this long, by this host's own eyes. */
  readonly unchangedMs: number;
  /** How long the last try has been over. */
  readonly restedMs: number;
  /** The age of the newest answer that this host could serve; null: there is none. */
  readonly answerAgeMs: number | null;
}

export interface Rules {
  /** From one try to the next. */
  readonly windowMs: number;
  /** An older answer is worse than an error. */
  readonly staleMaxMs: number;
}

export type Decision =
  | { readonly kind: "serve"; readonly why: "fresh" | "being-refreshed" | "failing" }
  /** This host is to ask the registry, if it gets the claim. */
  | { readonly kind: "claim" }
  /** Somebody is asking, and there is nothing to serve meanwhile. */
  | { readonly kind: "wait" }
  /** The last try failed, and nothing that it left may be served. */
  | { readonly kind: "fail" };

/**
 * One upstream call a window. Who dies while asking holds nobody up: the old answer is served on, and the next host
 * asks a window later, or, where there is no answer to serve, as soon as the claim has run out. A claim's time is
 * measured by the observer alone.
 */
export function decide(entry: SharedEntry | null, view: View, rules: Rules): Decision {
  if (entry === null || isEmpty(entry)) return { kind: "claim" };
  const { claim, failure } = entry;
  const servable = view.answerAgeMs !== null && view.answerAgeMs <= rules.staleMaxMs;
  if (claim !== null) {
    const runsOutMs = servable ? Math.max(claim.lengthMs, rules.windowMs) : claim.lengthMs;
    if (view.unchangedMs >= runsOutMs) return { kind: "claim" };
    if (servable) return { kind: "serve", why: failure === null ? "being-refreshed" : "failing" };
    return { kind: failure === null ? "wait" : "fail" };
  }
  const restMs = Math.max(rules.windowMs, failure?.retryAfterMs ?? 0);
  if (view.restedMs >= restMs) return { kind: "claim" };
  if (failure === null) return { kind: "serve", why: "fresh" };
  return servable ? { kind: "serve", why: "failing" } : { kind: "fail" };
}

function isEmpty({ answer, claim, failure }: SharedEntry): boolean {
  return answer === null && claim === null && failure === null;
}
