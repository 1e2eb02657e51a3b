/** What one look at a replica showed; `seen` is for people: `GET http://…: 503`. */
export interface Probed {
  readonly ok: boolean;
  readonly seen: string;
  /** The HTTP status, where one was asked for. */
  readonly status?: number;
  /** It is too early to tell. */
  readonly pending?: boolean;
  /** This host could not ask, for a lack of its own: that says nothing of the app. */
  readonly unasked?: boolean;
}

/** What its checks so far say of a replica. */
export interface Health {
  /** `unproven`: never passed since it was started or found. */
  readonly kind: "unproven" | "well" | "sick";
  /** In a row. */
  readonly failures: number;
  readonly seen: string;
  /** When it became what it is, on the clock's monotonic scale. */
  readonly sinceMs: number;
}

export interface HealthPolicy {
  /** GET this, on the first port; null: the image's HEALTHCHECK, if any, must pass. All ports must be served anyway. */
  readonly path: string | null;
  /** What a connection begins with before anything is said: the PROXY protocol's word for the proxy itself. */
  readonly greeting: string;
  /** From its start until a replica must be well. */
  readonly timeoutMs: number;
  /** Between two checks of one that serves. */
  readonly intervalMs: number;
  /** This many failures in a row make it sick. */
  readonly threshold: number;
}

export function unproven(seen: string, nowMs: number): Health {
  return { kind: "unproven", failures: 0, seen, sinceMs: nowMs };
}

/** A HEALTHCHECK keeps the image's pace, by default 30 s to its first look. */
export const healthcheckGraceMs = 120_000;

/** One pass makes a replica well. One that has never passed has all the time that a new one has. */
export function nextHealth(
  health: Health,
  { ok, seen, pending = false, unasked = false }: Probed,
  { threshold, timeoutMs }: Pick<HealthPolicy, "threshold" | "timeoutMs">,
  nowMs: number,
): Health {
  if (ok)
    return { kind: "well", failures: 0, seen, sinceMs: health.kind === "well" ? health.sinceMs : nowMs };
  if (unasked) return { ...health, seen };
  // The engine has not looked yet since it started the app again: that is no failure, for a while.
  const graceMs = timeoutMs + healthcheckGraceMs;
  if (pending && nowMs - health.sinceMs < graceMs) return { ...health, seen };
  const failures = health.failures + 1;
  const isSick =
    health.kind === "unproven"
      ? nowMs - health.sinceMs >= timeoutMs
      : health.kind === "sick" || failures >= threshold;
  const kind = isSick ? "sick" : health.kind;
  return { kind, failures, seen, sinceMs: kind === health.kind ? health.sinceMs : nowMs };
}
