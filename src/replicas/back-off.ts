/** What the policy remembers of replicas that were lost, or could not be started. */
export interface LossHistory {
  /** In a row, none of which was preceded by a stable while. */
  readonly losses: number;
  /** On the clock's monotonic scale; null: none yet. */
  readonly lastMs: number | null;
}

export const noLosses: LossHistory = { losses: 0, lastMs: null };

export interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Without a loss for this long, the next one starts the count anew. */
  readonly stableMs: number;
}

/** Replicas: at once almost for one that died out of the blue, a minute apart for those that keep dying. */
export const replicaBackOff: BackOff = { firstMs: 200, maxMs: 60_000, stableMs: 60_000 };

/** The engine: its answers cost nothing, so that its return is noticed soon. */
export const engineBackOff: BackOff = { firstMs: 200, maxMs: 5000, stableMs: 0 };

/** How long to wait after a loss: the first delay, doubled with each loss in a row. */
export function nextLoss(
  history: LossHistory,
  nowMs: number,
  policy: BackOff,
): { history: LossHistory; delayMs: number } {
  const stableSince = history.lastMs === null ? 0 : history.lastMs + waitMs(history.losses, policy);
  const isStable = history.lastMs !== null && nowMs - stableSince >= policy.stableMs && policy.stableMs > 0;
  const losses = isStable ? 1 : history.losses + 1;
  return { history: { losses, lastMs: nowMs }, delayMs: waitMs(losses, policy) };
}

function waitMs(losses: number, { firstMs, maxMs }: BackOff): number {
  return losses === 0 ? 0 : Math.min(maxMs, firstMs * 2 ** (losses - 1));
}
