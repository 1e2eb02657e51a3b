import { releaseTime } from "../../activate/release-name.ts";
import { isAmong, isSameContent } from "../../release/placed.ts";
import type { PlacedRelease } from "../../release/release.ts";
import type { State } from "../state.ts";

/** The releases this host keeps, newest first. All of them were good once: nothing else is recorded. */
function keptReleases({ releases, current, previous }: State): PlacedRelease[] {
  const recorded = Object.entries(releases).map(([release, { tag, artifact, digest }]) => ({
    tag,
    artifact,
    digest,
    release,
    since: releaseTime(release).toISOString(),
  }));
  const others = [current, previous].filter((placed) => placed !== null);
  const missing = others.filter(({ release }) => releases[release] === undefined);
  return [...recorded, ...missing].sort((a, b) => (a.release < b.release ? 1 : -1));
}

/**
 * Where a rollback without a tag goes: the last good release before the current one, else the newest other one that is
 * kept and not quarantined; null: there is none.
 */
export function lastGood(state: State): PlacedRelease | null {
  const { current, previous } = state;
  if (previous !== null && isCandidate(previous, current, state)) return previous;
  return keptReleases(state).find((placed) => isCandidate(placed, current, state)) ?? null;
}

/** The kept release of a tag, the newest where the tag meant several; null: none is kept. */
export function keptOf(tag: string, state: State): PlacedRelease | null {
  const { current } = state;
  const all = keptReleases(state).filter((placed) => placed.tag === tag);
  return all.find((placed) => placed.digest !== current?.digest) ?? all[0] ?? null;
}

/** What came before a kept release on this host: where the next step back leads, once it is in place again. */
export function before(
  target: PlacedRelease,
  left: PlacedRelease | null,
  state: State,
): PlacedRelease | null {
  const older = keptReleases(state).filter(
    (placed) => placed.release < target.release && isCandidate(placed, target, state),
  );
  return older.find((placed) => left === null || !isSameContent(placed, left)) ?? null;
}

function isCandidate(placed: PlacedRelease, current: PlacedRelease | null, { quarantine }: State): boolean {
  if (current !== null && isSameContent(placed, current)) return false;
  return !isAmong(quarantine, placed);
}
