/** Thirteen digits of milliseconds since 1970, and a random part: `1795253806000-0a1b2c3d`. */
const pattern = /^(\d{13})-[0-9a-f]{8}$/;

/** Before every notice. */
export const noId = "";

export function isNoticeId(text: string): boolean {
  return pattern.test(text);
}

/** Greater than `last`, whatever was done to the clock, and no other host's. */
export function nextNoticeId(last: string, now: Date): string {
  const ms = Math.max(now.getTime(), msOf(last) + 1);
  return `${padded(ms)}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Between `id` and what follows it; the same each time for the same `seed`, another for another. */
export function idBehind(id: string, seed: string): string {
  const hash = new Bun.CryptoHasher("sha256").update(`${id}\0${seed}`).digest("hex");
  return `${padded(Math.max(0, msOf(id)))}-ff${hash.slice(0, 6)}`;
}

function msOf(id: string): number {
  return Number(pattern.exec(id)?.[1] ?? -1);
}

function padded(ms: number): string {
  return String(ms).padStart(13, "0");
}
