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
  return `${String(ms).padStart(13, "0")}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Sorts right before `id` and after whatever was before it; the same each time. */
export function idBefore(id: string): string {
  return `${id.slice(0, 13)}-00000000`;
}

function msOf(id: string): number {
  return Number(pattern.exec(id)?.[1] ?? -1);
}
