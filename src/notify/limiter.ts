import type { DeployEvent, ErrorRun, Trouble } from "../events.ts";

/**
 * So many errors in a row are told: three, as the compatibility sheet has it, but one of a registry that stays away,
 * which fails each check and is one outage.
 */
const toldInARow: Readonly<Record<Trouble, number>> = { check: 1, deploy: 3, app: 3 };
/** So many outages of one kind, each begun within `calmMs` of the end of the one before, and it comes and goes. */
const flappingFrom = 3;
/** What comes and goes is over when nothing has happened for this long. */
export const calmMs = 10 * 60_000;

/** One kind of trouble, from its first error until people are told that it is over. Times are ISO 8601. */
export interface Episode {
  /** In a row, since it was last well. */
  readonly count: number;
  /** In all. */
  readonly errors: number;
  readonly heldBack: number;
  /** How often it came; 1 where it stayed. */
  readonly outages: number;
  readonly since: string;
  readonly lastErrorAt: string;
  /** A good moment came since, but it has come and gone too often for that to be the end. */
  readonly isWell: boolean;
}

/** Plain JSON, as it lies on disk. */
export interface TroubleState {
  /** null: all is well. */
  readonly episode: Episode | null;
  /** When outages began, the present one included, as far as each came soon after the one before. */
  readonly outages: readonly string[];
  /** When the last one that has ended did; null: that was long ago, if ever. */
  readonly endedAt: string | null;
}

export const noTrouble: TroubleState = { episode: null, outages: [], endedAt: null };

export interface ErrorVerdict {
  readonly state: TroubleState;
  /** What the notice says of the row it stands in; null: it is held back. */
  readonly run: ErrorRun | null;
}

/**
 * Which trouble an event is a sign of; null: it is always told. A quarantine is told once a release by its nature, and
 * the sheet wants every hook's result.
 */
export function troubleOf(event: DeployEvent): Trouble | null {
  switch (event.kind) {
    case "failed":
      return event.tag === null ? "check" : "deploy";
    case "crashed":
    case "replica-lost":
      return "app";
    default:
      return null;
  }
}

/** The event, saying where it stands in the row. */
export function withRun(event: DeployEvent, run: ErrorRun): DeployEvent {
  switch (event.kind) {
    case "failed":
    case "crashed":
    case "replica-lost":
      return { ...event, run };
    default:
      return event;
  }
}

/**
 * One more error. The first ones of an outage are told, the last of these says that no more are; the same goes for the first
 * error of the third outage in a short while: what comes and goes would else be told for ever. `always`: this one is told.
 */
export function onError(state: TroubleState, trouble: Trouble, now: Date, always = false): ErrorVerdict {
  const { episode } = state;
  const at = now.toISOString();
  const begins = episode === null || episode.isWell;
  const outages = begins ? [...recentOutages(state, now), at].slice(-flappingFrom) : state.outages;
  const count = begins ? 1 : episode.count + 1;
  const knewFlapping = episode !== null && isFlapping(state);
  const isTold = always || (!knewFlapping && count <= toldInARow[trouble]);
  const next: Episode = {
    count,
    errors: (episode?.errors ?? 0) + 1,
    heldBack: (episode?.heldBack ?? 0) + (isTold ? 0 : 1),
    outages: (episode?.outages ?? 0) + (begins ? 1 : 0),
    since: episode?.since ?? at,
    lastErrorAt: at,
    isWell: false,
  };
  const after = { ...state, episode: next, outages };
  if (!isTold) return { state: after, run: null };
  const lastUntil = isFlapping(after) ? "calm" : count === toldInARow[trouble] ? "over" : null;
  return { state: after, run: { count, lastUntil } };
}

/** It is well now. People are told at once, or, of what comes and goes, when it has been calm for a while. */
export function onWell(
  state: TroubleState,
  trouble: Trouble,
  now: Date,
): { readonly state: TroubleState; readonly recovered: DeployEvent | null } {
  const { episode } = state;
  if (episode === null) return { state, recovered: null };
  const flapping = isFlapping(state);
  const endedAt = (episode.isWell ? state.endedAt : null) ?? now.toISOString();
  if (flapping && elapsedMs(endedAt, now) < calmMs) {
    const next = episode.isWell ? state : { ...state, endedAt, episode: { ...episode, isWell: true } };
    return { state: next, recovered: null };
  }
  const { errors, heldBack, outages, since } = episode;
  const lastedMs = elapsedMs(since, now);
  const durationMs = Number.isFinite(lastedMs) ? lastedMs : 0;
  return {
    state: { episode: null, outages: flapping ? [] : state.outages, endedAt },
    recovered: { kind: "recovered", trouble, errors, heldBack, outages, durationMs },
  };
}

/** It is over without being well, and people know: the release was quarantined. */
export function onSettled(state: TroubleState): TroubleState {
  const { episode } = state;
  return episode === null ? state : { ...state, episode: null, endedAt: episode.lastErrorAt };
}

function isFlapping({ outages }: TroubleState): boolean {
  return outages.length >= flappingFrom;
}

/** As long as people wait for the end of what comes and goes, all of it counts. */
function recentOutages({ episode, outages, endedAt }: TroubleState, now: Date): readonly string[] {
  if (episode !== null) return outages;
  return endedAt !== null && elapsedMs(endedAt, now) <= calmMs ? outages : [];
}

/** Of a time that is yet to come, the clock having been set back, nobody knows how long ago it was: long. */
function elapsedMs(from: string, now: Date): number {
  const ms = now.getTime() - Date.parse(from);
  return ms >= 0 ? ms : Number.POSITIVE_INFINITY;
}
