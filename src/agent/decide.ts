import { fingerprint } from "../release/fingerprint.ts";
import type { DeployableRelease, Digest, PlacedRelease, Release } from "../release/release.ts";
import type { TagOrder } from "../release/version.ts";
import type { Timing } from "../schedule/evaluate.ts";
import { isSoaking } from "./back/going-back.ts";
import { holds } from "./back/hold.ts";
import { isFailureOf } from "./failure.ts";
import { isWithin } from "./span.ts";
import type { Quarantined, State } from "./state.ts";

/** How long after its creation a release may still lack its artifact without anybody being told. */
export const gracePeriodMs = 30 * 60_000;

export type Decision =
  | { readonly kind: "deploy"; readonly release: DeployableRelease; readonly fingerprint: string }
  | { readonly kind: "skip"; readonly reason: SkipReason }
  | Wait
  | { readonly kind: "no-artifact"; readonly tag: string };

export type SkipReason = "no-release" | "current" | "held" | "grace" | "quarantined" | "backoff";

/** It will be deployed, but not yet. */
export interface Wait {
  readonly kind: "wait";
  readonly reason: "soak" | Exclude<Timing, { kind: "now" }>["reason"];
  /** A clause for people, without the time. */
  readonly text: string;
  /** When to ask again; null: nobody can tell. */
  readonly until: Date | null;
  /** When it may be deployed, all reasons considered; null: nobody can tell. */
  readonly due: Date | null;
}

export interface Situation {
  readonly state: State;
  /** The recorded release is in place. */
  readonly intact: boolean;
  /** Of how this host puts releases into use; another one may make a failed release work. */
  readonly setup: string;
  readonly now: Date;
  readonly order: TagOrder;
  /** The rules of when. */
  readonly when: (release: DeployableRelease) => Timing;
}

/** What to do about a release that the registry offers this host. */
export function decide(release: Release | null, situation: Situation): Decision {
  const { state, intact, setup, now } = situation;
  if (release === null) return { kind: "skip", reason: "no-release" };
  const isCurrent = state.current !== null && isSame(release, state.current);
  if (isCurrent && intact) return { kind: "skip", reason: "current" };
  if (!isCurrent && holds(state, release, situation)) return { kind: "skip", reason: "held" };
  const { artifact } = release;
  if (artifact === null) return withoutArtifact(release, now);
  const deployable = { ...release, artifact };
  const print = fingerprint(deployable, setup);
  const entry = { tag: release.tag, digest: artifact.digest, print };
  if (state.quarantine.some((each) => isQuarantined(each, entry)))
    return { kind: "skip", reason: "quarantined" };
  const { failure } = state;
  const hasFailed = isFailureOf(failure, { tag: release.tag, fingerprint: print });
  if (hasFailed && isWithin(now, failure.at, failure.nextTryAt)) return { kind: "skip", reason: "backoff" };
  // What is recorded and not in place any more is put back at once.
  const timing = isCurrent ? null : timingOf(deployable, situation);
  return timing ?? { kind: "deploy", release: deployable, fingerprint: print };
}

function timingOf(release: DeployableRelease, { state, now, when }: Situation): Wait | null {
  if (state.soak !== null && isSoaking(state, now)) {
    const text = `${state.current?.tag} is on probation (--soak)`;
    const until = new Date(state.soak.until);
    return { kind: "wait", reason: "soak", text, until, due: null };
  }
  const timing = when(release);
  return timing.kind === "now" ? null : timing;
}

function withoutArtifact({ tag, createdAt }: Release, now: Date): Decision {
  const ageMs = createdAt === null ? 0 : now.getTime() - createdAt.getTime();
  return ageMs < gracePeriodMs ? { kind: "skip", reason: "grace" } : { kind: "no-artifact", tag };
}

/** Where nobody knows what was published when it was deployed, its digest says as much as it can. */
function isQuarantined(
  { tag, digest, fingerprint: print }: Quarantined,
  entry: { readonly tag: string; readonly digest: Digest | null; readonly print: string },
): boolean {
  if (tag !== entry.tag) return false;
  if (print !== "") return print === entry.print;
  return digest === null || entry.digest === null || digest === entry.digest;
}

function isSame({ tag, moving, artifact }: Release, current: PlacedRelease): boolean {
  return tag === current.tag && (moving !== true || artifact === null || artifact.digest === current.digest);
}

/** Longer with each failure of one release in a row: 10 s, 20 s, … up to 5 minutes. */
export function retryDelayMs(failures: number): number {
  return Math.min(5 * 60_000, 10_000 * 2 ** (failures - 1));
}
