import type { SharedEntry } from "./entry.ts";
import { isHostsOwn, restAfterMs } from "./failure.ts";

export interface View {
  /** How long ago the claim was made or renewed. */
  readonly claimAgeMs: number;
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
  /** This host, as it signs. */
  readonly owner: string;
  /** Whether this host may ask: its own credentials were not refused a moment ago. */
  readonly mayAsk: boolean;
}

export type Decision =
  /** What is there, fresh or not: somebody else asks, or it is not yet time. */
  | { readonly kind: "serve" }
  /** This host is to ask the registry, if it gets the claim. */
  | { readonly kind: "claim" }
  /** Somebody is asking, and there is nothing to serve meanwhile. */
  | { readonly kind: "wait" }
  /** The last try failed, and nothing that it left may be served. */
  | { readonly kind: "fail" };

/**
 * One upstream call a window; fewer while the registry fails. Who dies while asking holds nobody up: the old answer is
 * served on, and the next host asks a window later, or, where there is no answer to serve, as soon as the claim, which
 * nobody renews any more, has run out.
 */
export function decide(entry: SharedEntry | null, view: View, rules: Rules): Decision {
  const servable = view.answerAgeMs !== null && view.answerAgeMs <= rules.staleMaxMs;
  const wanted = want(entry, view, rules, servable);
  if (wanted.kind !== "claim" || rules.mayAsk) return wanted;
  return { kind: servable ? "serve" : "fail" };
}

function want(entry: SharedEntry | null, view: View, rules: Rules, servable: boolean): Decision {
  if (entry === null || isEmpty(entry)) return { kind: "claim" };
  const { claim, failure } = entry;
  if (claim !== null) {
    const runsOutMs = servable ? Math.max(claim.lengthMs, rules.windowMs) : claim.lengthMs;
    if (view.claimAgeMs >= runsOutMs) return { kind: "claim" };
    if (servable) return { kind: "serve" };
    return { kind: failure === null ? "wait" : "fail" };
  }
  // What another host was refused says nothing about what this one gets.
  const foreign = failure !== null && isHostsOwn(failure) && failure.by !== rules.owner;
  if (foreign && !servable) return { kind: "claim" };
  if (view.restedMs >= restAfterMs(failure, rules.windowMs)) return { kind: "claim" };
  return { kind: failure === null || servable ? "serve" : "fail" };
}

function isEmpty({ answer, claim, failure }: SharedEntry): boolean {
  return answer === null && claim === null && failure === null;
}
