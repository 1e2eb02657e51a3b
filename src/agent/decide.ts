import { fingerprint } from "../release/fingerprint.ts";
import type { DeployableRelease, PlacedRelease, Release } from "../release/release.ts";
import type { Failure, State } from "./state.ts";

/** How long after its creation a release may still lack its artifact without anybody being told. */
export const gracePeriodMs = 30 * 60_000;

export type Decision =
  | { readonly kind: "deploy"; readonly release: DeployableRelease; readonly fingerprint: string }
  | { readonly kind: "skip"; readonly reason: SkipReason }
  | { readonly kind: "no-artifact"; readonly tag: string };

export type SkipReason = "no-release" | "current" | "grace" | "quarantined" | "backoff";

interface Situation {
  readonly state: State;
  /** The recorded release is in place. */
  readonly intact: boolean;
  /** Of how this host puts releases into use; another one may make a failed release work. */
  readonly setup: string;
  readonly now: Date;
}

/** What to do about the newest release that the registry offers this host. */
export function decide(release: Release | null, { state, intact, setup, now }: Situation): Decision {
  if (release === null) return { kind: "skip", reason: "no-release" };
  if (intact && state.current !== null && isSame(release, state.current)) {
    return { kind: "skip", reason: "current" };
  }
  const { artifact } = release;
  if (artifact === null) {
    const ageMs = release.createdAt === null ? 0 : now.getTime() - release.createdAt.getTime();
    return ageMs < gracePeriodMs
      ? { kind: "skip", reason: "grace" }
      : { kind: "no-artifact", tag: release.tag };
  }
  const deployable = { ...release, artifact };
  const print = fingerprint(deployable, setup);
  const same = (entry: { tag: string; fingerprint: string }): boolean =>
    entry.tag === release.tag && entry.fingerprint === print;
  if (state.quarantine.some(same)) return { kind: "skip", reason: "quarantined" };
  if (state.failure !== null && same(state.failure) && isBackingOff(state.failure, now)) {
    return { kind: "skip", reason: "backoff" };
  }
  return { kind: "deploy", release: deployable, fingerprint: print };
}

function isSame({ tag, moving, artifact }: Release, current: PlacedRelease): boolean {
  return tag === current.tag && (moving !== true || artifact === null || artifact.digest === current.digest);
}

/** A clock that was set back must not make a wait of seconds one of years. */
function isBackingOff({ at, nextTryAt }: Failure, now: Date): boolean {
  return new Date(at) <= now && now < new Date(nextTryAt);
}

/** Longer with each failure of one release in a row: 10 s, 20 s, … up to 5 minutes. */
export function retryDelayMs(failures: number): number {
  return Math.min(5 * 60_000, 10_000 * 2 ** (failures - 1));
}
