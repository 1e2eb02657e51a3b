import { records } from "../../events.ts";
import type { Log } from "../../log.ts";
import type { Clock } from "../../util/time.ts";
import type { Announcer } from "../announce.ts";
import { isFailureOf } from "../failure.ts";
import { isWithin } from "../span.ts";
import type { State, StateFile } from "../state.ts";
import type { Calm } from "./calm.ts";
import type { CrashLoop } from "./going-back.ts";

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
  if (stranded === null) return false;
  const { triedAt } = stranded;
  return !isWithin(now, triedAt, new Date(Date.parse(triedAt) + tryAgainMs).toISOString());
}

/** It was stranded as it died, and has been calm for so long as no crash loop is. */
export function isWellAgain(
  state: Pick<State, "stranded" | "current">,
  calm: Pick<Calm, "ms">,
  loop: Pick<CrashLoop, "withinMs">,
): boolean {
  return isStranded(state) && state.stranded?.diedAt != null && calm.ms >= loop.withinMs;
}

/** What keeps the current release from being left. */
export interface Blocked {
  /** Why it should be. */
  readonly reason: string;
  readonly why: string;
  readonly hint: string;
  /** It ended, as opposed to running and being sick. */
  readonly hasDied: boolean;
  /** Of what is published in place of what it would be left for; null: of nothing. */
  readonly unlike?: string | null;
}

/** Tells people, once for each release, and remembers it. */
export function strand(
  { reason, why, hint, hasDied, unlike = null }: Blocked,
  {
    state: file,
    announcer,
    log,
    clock,
  }: {
    readonly state: StateFile;
    readonly announcer: Pick<Announcer, "stranded" | "settled">;
    readonly log: Log;
    readonly clock: Clock;
  },
): void {
  const { current, stranded: before, failure, retreat } = file.state;
  if (current === null) return;
  const { tag, release } = current;
  const now = clock.now().toISOString();
  const isNews = !isStranded(file.state);
  // Told first: an agent that dies in between tells it again rather than never.
  if (isNews) announcer.stranded({ kind: "stranded", tag, reason, why, hint });
  if (isNews) log.error(records.stranded, { tag, error: reason, reason: why, hint });
  const isOfWayBack = failure === null || isFailureOf(failure, wayBackPrint(file.state));
  if (isOfWayBack && retreat !== null && retreat.tries > 0) announcer.settled("deploy");
  file.learn({
    retreat: null,
    soak: null,
    failure: isOfWayBack ? null : failure,
    stranded: {
      release,
      reason,
      why,
      hint,
      at: isNews ? now : (before?.at ?? now),
      diedAt: hasDied ? now : null,
      triedAt: now,
      unlike: unlike ?? (isNews ? null : (before?.unlike ?? null)),
    },
  });
}

function wayBackPrint({ previous, releases }: State): { tag: string; fingerprint: string } {
  const { tag = "", release = "" } = previous ?? {};
  return { tag, fingerprint: releases[release]?.fingerprint ?? "" };
}
