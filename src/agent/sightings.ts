import type { Release } from "../release/release.ts";
import type { TagOrder } from "../release/version.ts";
import type { Sighting, State } from "./state.ts";

const most = 50;

/** With a release that this host sees for the first time; null: it is known. */
export function sighted({ sightings }: State, release: Release, now: Date): Sighting[] | null {
  const { tag } = release;
  const known = sightings.find((sighting) => sighting.tag === tag);
  // Seen in the future: the clock was set back, and must not make a wait of hours one of years.
  if (known !== undefined && new Date(known.at) <= now) return null;
  const others = sightings.filter((sighting) => sighting !== known);
  const createdAt = release.createdAt?.toISOString() ?? null;
  return [...others, { tag, at: now.toISOString(), createdAt }].slice(-most);
}

/** Those a host on which `tag` is deployed may still move on to. */
export function aheadOf(sightings: readonly Sighting[], tag: string, order: TagOrder): Sighting[] {
  return sightings.filter((sighting) => sighting.tag !== tag && (order(sighting.tag, tag) ?? 1) > 0);
}

/** Since when its age counts: when it was made, else when it was first seen. */
export function readyFrom(release: Release, { sightings }: State, now: Date): Date {
  if (release.createdAt !== null) return release.createdAt;
  const seen = sightings.find(({ tag }) => tag === release.tag);
  return seen === undefined ? now : new Date(seen.at);
}

/** It is not as old as it must be, by what this host knows of it: the registry need not be asked. */
export function isKnownYoung({ at, createdAt }: Sighting, minAgeMs: number, now: Date): boolean {
  if (createdAt === undefined) return false;
  return now.getTime() < new Date(createdAt ?? at).getTime() + minAgeMs;
}

/** Newest first: what was seen between the current release and the newest one, where tags can be compared. */
export function between(state: State, newest: string, order: TagOrder): string[] {
  const current = state.current?.tag ?? null;
  return state.sightings
    .map(({ tag }) => tag)
    .filter((tag) => (order(tag, newest) ?? 0) < 0)
    .filter((tag) => current === null || (order(tag, current) ?? 0) > 0)
    .sort((a, b) => order(b, a) ?? 0);
}
