import { isSameContent } from "../../release/placed.ts";
import type { DeployRecord, PlacedRelease } from "../../release/release.ts";
import type { TagOrder } from "../../release/version.ts";
import { isSoaking } from "../back/going-back.ts";
import { heldByRollback, rollbackHoldLifted } from "../back/hold.ts";
import { before } from "../back/kept.ts";
import { aheadOf } from "../sightings.ts";
import type { Quarantined, State, StateChanges } from "../state.ts";
import type { Errand } from "./errand.ts";
import { maxQuarantined } from "./verdict.ts";

/** A deploy that has proved itself. */
export interface Done {
  readonly errand: Errand;
  readonly placed: PlacedRelease;
  readonly record: DeployRecord;
  readonly soakMs: number;
  readonly order: TagOrder;
  readonly now: Date;
}

/** What is recorded of it, all at once: whoever dies before or after it finds the one state or the other. */
export function committed(state: State, done: Done): StateChanges {
  const { errand, placed, record, order } = done;
  const { tag, artifact, digest, release } = placed;
  const kept = { tag, artifact, digest, fingerprint: errand.fingerprint };
  const isNew = state.current === null || !isSameContent(state.current, placed);
  // Put back under another name, it should be left as before.
  const moved = <About extends { release: string }>(about: About | null): About | null =>
    about !== null && about.release === state.current?.release ? { ...about, release } : null;
  const previous = isNew ? previousAfter(state, done) : state.previous;
  return {
    current: placed,
    previous,
    origin: isNew ? errand.cause : state.origin,
    attempt: null,
    failure: null,
    retreat: isNew ? null : moved(state.retreat),
    stranded: isNew ? null : moved(state.stranded),
    unreported: record,
    quarantine: quarantineAfter(state, done),
    releases: { ...state.releases, [release]: kept },
    sightings: aheadOf(state.sightings, tag, order),
    soak: isNew && previous !== null ? soakOf(done) : null,
    ...holdAfter(state, done, isNew),
  };
}

/** A release that is still on probation is no good one to go back to. */
function previousAfter(state: State, { errand, placed, now }: Done): PlacedRelease | null {
  const { current, previous } = state;
  if (errand.cause === "rollback" || errand.cause === "retreat") {
    return errand.kept === null ? null : before(errand.kept, current, state);
  }
  const good = previous !== null && isSoaking(state, now) ? previous : current;
  // Deployed by hand while what replaced it is on probation.
  return good !== null && isSameContent(good, placed) ? before(placed, current, state) : good;
}

/** What was deployed works; what it replaced because that failed does not. */
function quarantineAfter(state: State, { errand, placed, now }: Done): Quarantined[] {
  const { current, quarantine, releases } = state;
  const anyContent = errand.published !== null && errand.published.moving !== true;
  const others = quarantine.filter(
    (entry) => entry.tag !== placed.tag || (!anyContent && entry.digest !== placed.digest),
  );
  if (errand.cause !== "retreat" || current === null) return others;
  const failed = {
    tag: current.tag,
    digest: current.digest,
    fingerprint: releases[current.release]?.fingerprint ?? "",
    reason: errand.reason ?? "it failed",
    at: now.toISOString(),
  };
  return [...others.filter((entry) => !isSameContent(entry, failed)), failed].slice(-maxQuarantined);
}

function soakOf({ errand, placed, soakMs, now }: Done): State["soak"] {
  const isProven = errand.cause === "rollback" || errand.cause === "retreat";
  if (soakMs === 0 || isProven) return null;
  const until = new Date(now.getTime() + soakMs).toISOString();
  return { release: placed.release, since: now.toISOString(), until };
}

function holdAfter(state: State, { errand, placed, now }: Done, isNew: boolean): StateChanges {
  const { cause, left } = errand;
  if (left !== null) {
    const hold = { since: now.toISOString(), until: null, reason: null, ...left };
    return heldByRollback(state, hold);
  }
  // Put back where it was, or gone back to from a release that an operator chose: what is held stays held.
  const isBack = cause === "retreat" && state.hold?.left !== placed.tag;
  return !isNew || isBack ? {} : rollbackHoldLifted(state);
}
