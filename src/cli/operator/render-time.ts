import { renderTime } from "./render.ts";

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** `2d 3h`, `5m 12s`, `0s`: the two greatest units say enough. */
export function renderSpan(ms: number): string {
  let rest = Math.max(0, Math.round(ms / 1000) * 1000);
  const parts: string[] = [];
  for (const [unit, unitMs] of units) {
    const count = Math.floor(rest / unitMs);
    rest -= count * unitMs;
    // After the greatest only its neighbour.
    if (parts.length === 1) return count > 0 ? `${parts[0]} ${count}${unit}` : `${parts[0]}`;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts[0] ?? "0s";
}

/** `2026-11-21 09:00:00 (5m ago)`; a text that is no time stays as it is. */
export function renderMoment(text: string, now: Date): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  const ms = date.getTime() - now.getTime();
  const away = ms <= 0 ? `${renderSpan(-ms)} ago` : `in ${renderSpan(ms)}`;
  return `${renderTime(date)} (${away})`;
}

const instant = /\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z\b/g;

/** What an agent says in ISO 8601, for whoever reads it on a screen. */
export function withLocalTimes(text: string, now: Date): string {
  return text.replace(instant, (found) => renderMoment(found, now));
}
