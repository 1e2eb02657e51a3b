import { calverScheme } from "../release/calver.ts";
import { formatDuration, parseDuration } from "../util/time.ts";
import { invalid } from "./problem.ts";

/** Timers count in 32 bits: a longer one would fire at once. */
const maxMs = 2 ** 31 - 1;

/** A parser of durations from `leastMs` to 24 days; gives milliseconds. */
export function durationFrom(leastMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms < leastMs) throw invalid(`"${text}" is too short`, `write ${formatDuration(leastMs)} or more`);
    if (ms > maxMs) throw invalid(`"${text}" is too long`, "write at most 576h, which is 24 days");
    return ms;
  };
}

export function wholeFrom(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `${least}` : `${least} to ${most}`;
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw invalid(`"${text}" is not a number from ${range}`, `write for example ${Math.max(least, 7)}`);
  };
}

/** As Go's strconv.ParseBool, which reads these variables in the original. */
export function parseBoolean(text: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw invalid(`"${text}" is neither true nor false`, "write 1 or 0");
}

/** A slot is compared with build metadata, which has only these characters. */
export function parseSlot(text: string): string {
  if (/^[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*$/.test(text)) return text;
  throw invalid(
    `"${text}" cannot be build metadata`,
    "write what stands behind the + of the tag: blue for v1.2.3+blue",
  );
}

/** What Docker and Podman allow in a container's name; dewy adds the time and the replica's number. */
export function parseBaseName(text: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}$/.test(text)) return text;
  throw invalid(`"${text}" cannot begin a container's name`, "write letters, digits, _, . and -");
}

export function parseCalver(text: string): string {
  calverScheme(text);
  return text;
}
