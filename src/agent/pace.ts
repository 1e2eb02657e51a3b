/** Where in the interval this agent's checks fall, 0 ≤ phase < 1: the same after every start, another on each host. */
export function phaseOf(host: string, root: string): number {
  const hash = new Bun.CryptoHasher("sha256").update(`${host}\0${root}`).digest();
  return hash.readUInt32BE(0) / 2 ** 32;
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
