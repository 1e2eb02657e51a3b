import { isAmong, isSameContent } from "../../release/placed.ts";
import type { PlacedRelease } from "../../release/release.ts";
import { isWithin } from "../span.ts";
import type { State } from "../state.ts";
import { isStranded, isTryDue } from "./stranded.ts";

/** The app failed while nothing was being deployed. */
export interface AppFailure {
  /** Of which release, by its name on this host. */
  readonly release: string;
  /** It ended, or it runs and fails its checks; `unproven`: it never passed them, which only showed after the switch. */
  readonly kind: "crashed" | "sick" | "unproven";
  readonly reason: string;
  /** Which of the app's copies, where it has several: what fells all of them at once is one death of each. */
  readonly slot?: string | null;
}

/** So many deaths within so long make a loop. */
export interface CrashLoop {
  readonly deaths: number;
  readonly withinMs: number;
}

export const usualCrashLoop: CrashLoop = { deaths: 5, withinMs: 10 * 60_000 };

export type Reaction =
  | { readonly kind: "go-back"; readonly to: PlacedRelease; readonly reason: string }
  /** It should be left, and there is nothing to go back to. */
  | { readonly kind: "strand"; readonly reason: string; readonly why: string }
  | { readonly kind: "stay" };

interface Situation {
  readonly now: Date;
  /** Of the current release, or of that copy of it, this one included, as far back as `loop` looks. */
  readonly deaths: number;
  readonly loop: CrashLoop;
}

/**
 * Whether a failure of the app undoes the deploy of its release: any in the soak; later only a crash loop. What was
 * gone back to is not left in its turn, nor what an operator went back to.
 */
export function reactTo(failure: AppFailure, state: State, situation: Situation): Reaction {
  const { current } = state;
  if (current === null || failure.release !== current.release) return { kind: "stay" };
  const reason = reasonToLeave(failure, state, situation);
  if (reason === null) return { kind: "stay" };
  const way = wayBack(current, state);
  return "why" in way ? { kind: "strand", reason, ...way } : { kind: "go-back", reason, ...way };
}

/** Where the current release is left for, or why it can't be. */
export function wayBack(
  current: PlacedRelease,
  state: State,
): { readonly to: PlacedRelease } | { readonly why: string } {
  const { previous } = state;
  const why = obstacle(current, state);
  return why !== null || previous === null ? { why: why ?? nothingBefore } : { to: previous };
}

/** null: what has proved itself may die now and then. */
function reasonToLeave(
  { kind, reason }: AppFailure,
  state: State,
  { now, deaths, loop }: Situation,
): string | null {
  // It was told why it should be left; a death is the time to see whether it can be by now.
  if (isStranded(state))
    return kind === "crashed" && isTryDue(state, now) ? (state.stranded?.reason ?? null) : null;
  if (kind === "unproven") return reason;
  if (isSoaking(state, now)) {
    const what = kind === "crashed" ? "it died in its soak" : "it failed its checks in its soak";
    return `${what}: ${reason}`;
  }
  if (kind !== "crashed" || deaths < loop.deaths) return null;
  return `it died ${deaths} times within ${Math.round(loop.withinMs / 60_000)} minutes: ${reason}`;
}

const nothingBefore = "no good release before it is known here";

/** What keeps the current release from being left; null: nothing. */
function obstacle(current: PlacedRelease, { previous, origin, quarantine }: State): string | null {
  if (origin === "rollback") return `an operator went back to ${current.tag}`;
  if (origin === "retreat") return `${current.tag} is what dewy went back to, which it does once`;
  if (previous === null || isSameContent(previous, current)) return nothingBefore;
  if (!isAmong(quarantine, previous)) return null;
  const bad = quarantine.find((entry) => isSameContent(entry, previous));
  return `${previous.tag}, which was before it, is quarantined: ${bad?.reason ?? "it failed"}`;
}

export function isSoaking({ soak, current }: State, now: Date): boolean {
  if (soak === null || soak.release !== current?.release) return false;
  return isWithin(now, soak.since, soak.until);
}

/** When the app died, as far back as a loop reaches; of one release at a time, and of each of its copies. */
export class Deaths {
  #release: string | null = null;
  readonly #timesMs = new Map<string | null, readonly number[]>();

  /** How many there were of this copy within the loop's time, this one included. */
  count(
    { release, slot = null }: Pick<AppFailure, "release" | "slot">,
    nowMs: number,
    loop: CrashLoop,
  ): number {
    if (this.#release !== release) this.#timesMs.clear();
    this.#release = release;
    const before = this.#timesMs.get(slot) ?? [];
    const timesMs = [...before.filter((ms) => nowMs - ms < loop.withinMs), nowMs];
    this.#timesMs.set(slot, timesMs);
    return timesMs.length;
  }
}
