/** A host's situation while the shared cache is down. Times are of its monotonic clock. */
export interface Alone {
  readonly nowMs: number;
  readonly downSinceMs: number;
  /** When this host last asked the registry itself, and how long it is to be left alone since. */
  readonly asked: { readonly atMs: number; readonly restMs: number } | null;
  readonly answerAgeMs: number | null;
}

export interface AloneRules {
  readonly windowMs: number;
  readonly staleMaxMs: number;
  /** 0 ≤ value < 1, another on each host. */
  readonly spread: number;
}

/**
 * Each host for itself, once a window, or less often while the registry fails. When the fleet's common answer has become stale the hosts ask spread over a
 * window, not all at once; without an answer there is nothing to wait for.
 */
export function decideAlone(
  alone: Alone,
  { windowMs, staleMaxMs, spread }: AloneRules,
): "ask" | "serve" | "fail" {
  const { nowMs, downSinceMs, asked, answerAgeMs } = alone;
  if (asked !== null && nowMs < asked.atMs + asked.restMs) {
    return answerAgeMs !== null && answerAgeMs <= staleMaxMs ? "serve" : "fail";
  }
  if (answerAgeMs === null || answerAgeMs > staleMaxMs) return "ask";
  const ownAnswer = asked !== null && asked.atMs >= downSinceMs;
  if (ownAnswer) return "ask";
  const staleSinceMs = Math.max(downSinceMs, nowMs - answerAgeMs + windowMs);
  return nowMs >= staleSinceMs + spread * windowMs ? "ask" : "serve";
}

/** Stable for a host, spread evenly over hosts. */
export function spreadOf(host: string, scope: string): number {
  return new Bun.CryptoHasher("sha256").update(`${host}\0${scope}`).digest().readUInt32BE(0) / 2 ** 32;
}
