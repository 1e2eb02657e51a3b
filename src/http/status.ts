import { DewyError } from "../errors.ts";

/** What the classification looks at; the body's own words come as `said`. */
export interface StatusLine {
  readonly status: number;
  readonly headers: Headers;
  /** The server's explanation, cleaned of secrets; empty when it gave none. */
  readonly said: string;
}

/** GitHub asks for at least a minute when it limits without naming a time. */
const unnamedLimitMs = 60_000;

/**
 * How long the server wants to be left alone, or null: 429, 403 in GitHub's manner, 503 with Retry-After, and
 * any answer that used up the last call of the window (the next one would be refused anyway).
 */
export function limitMs(answer: StatusLine, now: Date): number | null {
  const { status, headers } = answer;
  const named = retryAfterMs(headers, now);
  const exhausted = headers.get("x-ratelimit-remaining") === "0";
  const resetMs = exhausted ? untilResetMs(headers, now) : null;
  if (status === 429) return named ?? resetMs ?? unnamedLimitMs;
  if (status === 403 && (named !== null || exhausted || /rate limit/i.test(answer.said))) {
    return named ?? resetMs ?? unnamedLimitMs;
  }
  if (status === 503) return named;
  return status < 400 ? resetMs : null;
}

/** The one place where an HTTP status becomes an error. `limitedMs` is what limitMs said. */
export function statusError(
  answer: StatusLine,
  limitedMs: number | null,
  doing: string,
  host: string,
): DewyError {
  const { status, said } = answer;
  const text = `${doing}: ${host} answered ${status}${said === "" ? "" : ` (${said})`}`;
  const wait = { retryAfterMs: limitedMs ?? undefined };
  if (status === 429 || (status === 403 && limitedMs !== null))
    return new DewyError("rate-limited", text, wait);
  if (status === 401 || status === 403 || status === 407) return new DewyError("unauthorized", text);
  if (status === 404 || status === 410) return new DewyError("not-found", text);
  return new DewyError("http-status", text, { ...wait, retryable: status >= 500 || status === 408 });
}

/** RFC 9110 §10.2.3: seconds or a date. */
function retryAfterMs(headers: Headers, now: Date): number | null {
  const value = headers.get("retry-after")?.trim();
  if (value === undefined) return null;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - serverTimeMs(headers, now));
}

/** GitHub's `x-ratelimit-reset`: seconds since 1970, on the server's clock. One second more, as it is rounded. */
function untilResetMs(headers: Headers, now: Date): number | null {
  const value = headers.get("x-ratelimit-reset");
  if (value === null || !/^\d+$/.test(value)) return null;
  return Math.max(0, Number(value) * 1000 - serverTimeMs(headers, now)) + 1000;
}

/** The server's own clock where it tells it: a host whose clock is wrong must not wait for hours. */
function serverTimeMs(headers: Headers, now: Date): number {
  const date = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(date) ? now.getTime() : date;
}
