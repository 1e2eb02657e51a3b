import { isAmong, isSameContent } from "../../release/placed.ts";
import type { PlacedRelease } from "../../release/release.ts";
import type { State } from "../state.ts";

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
  | { readonly kind: "stay"; readonly why: "not-current" | "nothing-before" | "chosen" | "proven" };

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
export function reactTo(failure: AppFailure, state: State, { now, deaths, loop }: Situation): Reaction {
  const { current, previous, origin, quarantine } = state;
  if (current === null || failure.release !== current.release) return { kind: "stay", why: "not-current" };
  if (origin === "rollback" || origin === "retreat") return { kind: "stay", why: "chosen" };
  if (previous === null || isAmong(quarantine, previous) || isSameContent(previous, current)) {
    return { kind: "stay", why: "nothing-before" };
  }
  if (failure.kind === "unproven") return { kind: "go-back", to: previous, reason: failure.reason };
  if (isSoaking(state, now)) {
    const what = failure.kind === "crashed" ? "it died in its soak" : "it failed its checks in its soak";
    return { kind: "go-back", to: previous, reason: `${what}: ${failure.reason}` };
  }
  if (failure.kind === "crashed" && deaths >= loop.deaths) {
    const minutes = Math.round(loop.withinMs / 60_000);
    return {
      kind: "go-back",
      to: previous,
      reason: `it died ${deaths} times within ${minutes} minutes: ${failure.reason}`,
    };
  }
  return { kind: "stay", why: "proven" };
}

/** A clock that was set back must not make a soak of seconds one of years. */
export function isSoaking({ soak, current }: State, now: Date): boolean {
  if (soak === null || soak.release !== current?.release) return false;
  return new Date(soak.since) <= now && now < new Date(soak.until);
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
