import type { DeployableRelease, Release } from "../../release/release.ts";
import type { TagOrder } from "../../release/version.ts";
import type { Hold } from "../orders/operations.ts";
import type { State, StateChanges } from "../state.ts";

/** The release that a hold is about: what was left, and what its tag meant. */
export type Left = Pick<Hold, "left" | "leftDigest">;

/**
 * The hold that is in force: when the upper one's time has come it is the one below, though nobody has written so yet.
 */
export function holdNow({ hold, holdBelow }: Pick<State, "hold" | "holdBelow">, now: Date): Hold | null {
  const upper = hold !== null && isOver(hold, now) ? holdBelow : hold;
  return upper !== null && isOver(upper, now) ? null : upper;
}

/** Whether what is held keeps this release, which is not the current one, from being deployed. */
export function holds(
  state: Pick<State, "hold" | "holdBelow">,
  release: Release,
  { now, order }: { now: Date; order: TagOrder },
): boolean {
  const hold = holdNow(state, now);
  return hold !== null && (hold.left === null || !isNewer(release, hold, order));
}

/** Newer than what was left. Where tags can't be compared, any other one is. */
function isNewer({ tag, moving, artifact }: Release, { left, leftDigest }: Left, order: TagOrder): boolean {
  if (tag === left) {
    const digest = artifact?.digest ?? null;
    return moving === true && digest !== null && digest !== (leftDigest ?? null);
  }
  const difference = order(tag, left ?? "");
  return difference === null || difference > 0;
}

function isOver({ until }: Hold, now: Date): boolean {
  return until !== null && new Date(until) <= now;
}

/** An operator's: what a rollback holds comes back when it ends. */
export function heldByOperator(state: State, hold: Hold): StateChanges {
  const below = state.hold !== null && state.hold.left !== null ? state.hold : state.holdBelow;
  return { hold, holdBelow: below };
}

/** A rollback's: an operator's hold, which holds more, stays over it. */
export function heldByRollback(state: State, hold: Hold): StateChanges {
  return state.hold !== null && state.hold.left === null ? { holdBelow: hold } : { hold, holdBelow: null };
}

/** What a rollback held is over; what an operator holds is not. */
export function rollbackHoldLifted({ hold }: State): StateChanges {
  return hold === null || hold.left !== null ? { hold: null, holdBelow: null } : { holdBelow: null };
}

/** Of the hold whose time has come; null: there is none. */
export function expired({ hold, holdBelow }: State, now: Date): StateChanges | null {
  return hold !== null && isOver(hold, now) ? { hold: holdBelow, holdBelow: null } : null;
}

/** What a rollback from the current release leaves: that one, or what an earlier rollback left if that is newer. */
export function leftBehind({ hold, holdBelow, current }: State, order: TagOrder): Left | null {
  const before = [hold, holdBelow].find((each) => each !== null && each.left !== null) ?? null;
  if (current === null) return before && { left: before.left, leftDigest: before.leftDigest };
  const now = { left: current.tag, leftDigest: current.digest };
  if (before === null || before.left === null) return now;
  const difference = order(now.left, before.left);
  if (difference !== null && difference > 0) return now;
  return { left: before.left, leftDigest: before.leftDigest };
}

/** What is left by an operator's deploy of a release that is not the newest; null: it is the newest. */
export function leftByDeploy(
  { tag, artifact, moving }: DeployableRelease,
  newest: Release | null,
  order: TagOrder,
): Left | null {
  if (newest?.tag === tag && (moving !== true || newest.artifact?.digest === artifact.digest)) return null;
  if (newest === null) return { left: tag, leftDigest: artifact.digest };
  const difference = order(tag, newest.tag);
  const left = difference !== null && difference > 0 ? { tag, artifact } : newest;
  return { left: left.tag, leftDigest: left.artifact?.digest ?? null };
}
