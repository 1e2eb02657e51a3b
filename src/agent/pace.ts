/** Where in the interval this agent's checks fall, 0 ≤ phase < 1: the same after every start, another on each host. */
export function phaseOf(host: string, root: string): number {
  const hash = new Bun.CryptoHasher("sha256").update(`${host}\0${root}`).digest();
  return hash.readUInt32BE(0) / 2 ** 32;
}

/**
 * The pause before the next check: `ownMs`, or less where something falls due before its end (a window shorter than the
 * interval would else never be met), but never less than `leastMs`. What was due when the last check began was seen.
 */
export function pauseMs(
  ownMs: number,
  dues: readonly Date[],
  { checkedAt, now, leastMs }: { readonly checkedAt: Date; readonly now: Date; readonly leastMs: number },
): number {
  const due = dues.filter((date) => date > checkedAt).map((date) => date.getTime() - now.getTime());
  return Math.max(0, leastMs, Math.min(ownMs, ...due));
}

/**
 * Milliseconds until the next check: an interval, or at first between half and one and a half, so that from then on
 * checks fall where `phase` puts them. Hosts that came up together (power is back, a script started them all) would
 * ask the registry together for ever. Time is the wall clock's, which they share.
 */
export function pauseUntilNextCheck(nowMs: number, intervalMs: number, phase: number): number {
  const earliestMs = nowMs + intervalMs / 2;
  const slot = Math.ceil(earliestMs / intervalMs - phase);
  return (slot + phase) * intervalMs - nowMs;
}
