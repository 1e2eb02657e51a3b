import { records } from "../../events.ts";
import type { Log } from "../../log.ts";
import type { Clock } from "../../util/time.ts";
import type { Announcer } from "../announce.ts";
import type { State, StateFile } from "../state.ts";

/** Between two tries of a way back that was blocked. */
const tryAgainMs = 5 * 60_000;

/** The current release should be left, and can't be. */
export function isStranded({ stranded, current }: Pick<State, "stranded" | "current">): boolean {
  return stranded !== null && stranded.release === current?.release;
}

/** As people see it; null: it is not. */
export function strandedOf(state: Pick<State, "stranded" | "current">) {
  if (state.stranded === null || !isStranded(state)) return null;
  const { reason, why, hint, at } = state.stranded;
  return { reason, why, hint, at };
}

/** What blocked the way back may be gone: the release may have been published again, or a quarantine lifted. */
export function isTryDue({ stranded }: Pick<State, "stranded">, now: Date): boolean {
  return stranded !== null && isLongAgo(stranded.triedAt, tryAgainMs, now);
}

/** Another release has taken its place, or it has not died for `calmMs`. */
export function isStrandingOver(
  state: Pick<State, "stranded" | "current">,
  calmMs: number,
  now: Date,
): boolean {
  const { stranded } = state;
  if (stranded === null) return false;
  if (!isStranded(state)) return true;
  return stranded.diedAt !== null && isLongAgo(stranded.diedAt, calmMs, now);
}

/** Of a time that is yet to come, the clock having been set back, nobody knows how long ago it was: long. */
function isLongAgo(at: string, ms: number, now: Date): boolean {
  const agoMs = now.getTime() - new Date(at).getTime();
  return agoMs < 0 || agoMs >= ms;
}

/** What keeps the current release from being left. */
export interface Blocked {
  /** Why it should be. */
  readonly reason: string;
  readonly why: string;
  readonly hint: string;
  /** It ended, as opposed to running and being sick. */
  readonly hasDied: boolean;
}

/** Tells people, once for each release, and remembers it. */
export function strand(
  { reason, why, hint, hasDied }: Blocked,
  {
    state: file,
    announcer,
    log,
    clock,
  }: {
    readonly state: StateFile;
    readonly announcer: Pick<Announcer, "stranded">;
    readonly log: Log;
    readonly clock: Clock;
  },
): void {
  const { current, stranded: before } = file.state;
  if (current === null) return;
  const { tag, release } = current;
  const now = clock.now().toISOString();
  const isNews = !isStranded(file.state);
  // Told first: an agent that dies in between tells it again rather than never.
  if (isNews) announcer.stranded({ kind: "stranded", tag, reason, why, hint });
  if (isNews) log.error(records.stranded, { tag, error: reason, reason: why, hint });
  file.learn({
    retreat: null,
    soak: null,
    failure: null,
    stranded: {
      release,
      reason,
      why,
      hint,
      at: isNews ? now : (before?.at ?? now),
      diedAt: hasDied ? now : null,
      triedAt: now,
    },
  });
}
