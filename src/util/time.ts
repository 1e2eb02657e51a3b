import { DewyError } from "../errors.ts";

/** The only source of time for code with a policy in it, so that tests need not wait. */
export interface Clock {
  now(): Date;
  /** Milliseconds from an arbitrary start; never goes back, whatever is done to the wall clock. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(
        () => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
        // setTimeout treats anything over 2^31-1 as 1 ms.
        Math.min(ms, 2 ** 31 - 1),
      );
      signal.addEventListener("abort", onAbort, { once: true });
    });
  },
};

/** Go takes both of Unicode's micro signs. */
const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const part = /(\d+(?:\.\d+)?)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/gy;

/**
 * `10` (seconds), `10s`, `5m`, `1h30m`, `500ms` (Go's time.ParseDuration, plus bare seconds) → milliseconds.
 * Throws `config-invalid` on anything else.
 */
export function parseDuration(text: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : sumOfParts(text);
  const ns = wholeNanoseconds(ms);
  if (!Number.isFinite(ns)) {
    throw new DewyError("config-invalid", `"${text}" is not a duration`, {
      hint: "write 10, 10s, 5m or 1h30m",
    });
  }
  return ns / 1e6;
}

/** NaN when there is anything but parts. */
function sumOfParts(text: string): number {
  let ms = 0;
  let end = 0;
  for (const match of text.matchAll(part)) {
    ms += Number(match[1]) * (unitMs[match[2] ?? ""] ?? Number.NaN);
    end = match.index + match[0].length;
  }
  return end > 0 && end === text.length ? ms : Number.NaN;
}

/** Milliseconds as Go's `time.Duration.String()` prints them: `1.5s`, `30m0s`, `250ms`. */
export function formatDuration(ms: number): string {
  const ns = wholeNanoseconds(Math.abs(ms));
  if (ns === 0) return "0s";
  const sign = ms < 0 ? "-" : "";
  if (ns < 1e3) return `${sign}${ns}ns`;
  if (ns < 1e6) return `${sign}${decimal(ns, 1e3)}µs`;
  if (ns < 1e9) return `${sign}${decimal(ns, 1e6)}ms`;
  const hours = Math.floor(ns / 3.6e12);
  const minutes = Math.floor((ns % 3.6e12) / 6e10);
  const seconds = decimal(ns % 6e10, 1e9);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

/** For people: whole milliseconds, and above ten seconds whole seconds. */
export function roughDuration(ms: number): string {
  const stepMs = Math.abs(ms) > 10_000 ? 1000 : 1;
  return formatDuration(Math.round(ms / stepMs) * stepMs);
}

/** Go counts whole nanoseconds; 1.1 * 1000 is not quite 1100. */
function wholeNanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

/** `ns / unit` without the exponent that String() gives small numbers. */
function decimal(ns: number, unit: number): string {
  const fraction = String(ns % unit)
    .padStart(Math.log10(unit), "0")
    .replace(/0+$/, "");
  const whole = Math.floor(ns / unit);
  return fraction === "" ? String(whole) : `${whole}.${fraction}`;
}
