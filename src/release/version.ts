import type { SemVer } from "semver";

/** A tag, understood. */
export interface ParsedVersion {
  readonly tag: string;
  readonly preRelease: boolean;
  /** SemVer build metadata without the `+`; empty when there is none. Dewy's slot. */
  readonly build: string;
  /** Whether the scheme's constraint, if any, admits it. */
  readonly satisfies: boolean;
  /** The version's numbers, most significant first; one scheme always gives as many. */
  readonly numbers: readonly number[];
  /** Carries the pre-release and build parts; decides where the numbers are equal. */
  readonly suffix: SemVer;
}

/** How tags are read: SemVer or a CalVer format. */
export interface VersionScheme {
  /** null: not a version in this scheme; such tags are ignored. */
  parse(tag: string): ParsedVersion | null;
  /**
   * Of a scheme whose tags begin with three numbers joined by dots, an optional `v` before them: whether one that
   * begins with these numbers may satisfy the constraint. Absent: its tags are no such tree.
   */
  readonly mayBegin?: (numbers: readonly number[]) => boolean;
}

/**
 * Negative when `a` is older. SemVer 2.0 precedence; build metadata, which SemVer leaves unordered, comes next,
 * and the tag's text (`v1.0.0`, `1.0.0`) last, so that every host chooses alike whatever order a registry lists in.
 */
export function compareVersions(a: ParsedVersion, b: ParsedVersion): number {
  for (const [index, number] of a.numbers.entries()) {
    const difference = number - (b.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return (
    comparePreRelease(a.suffix.prerelease, b.suffix.prerelease) ||
    a.suffix.compareBuild(b.suffix) ||
    order(a.tag, b.tag)
  );
}

type Identifiers = readonly (string | number)[];

/** SemVer 2.0 §11. Not the library's: it compares numbers beyond 2^53 (`rc.20240101120000123`) as floats. */
function comparePreRelease(a: Identifiers, b: Identifiers): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (const [index, ours] of a.entries()) {
    const theirs = b[index];
    if (theirs === undefined) return 1;
    const difference = compareIdentifiers(String(ours), String(theirs));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function compareIdentifiers(a: string, b: string): number {
  const numeric = [a, b].map((text) => /^\d+$/.test(text));
  if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1;
  // Numbers have no leading zeros, so the longer is the larger.
  return (numeric[0] ? a.length - b.length : 0) || order(a, b);
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Negative when the tag `a` is older than `b`; null: they can't be compared. */
export type TagOrder = (a: string, b: string) => number | null;

export function tagOrder(scheme: VersionScheme): TagOrder {
  return (a, b) => {
    const [ours, theirs] = [scheme.parse(a), scheme.parse(b)];
    return ours === null || theirs === null ? noOrder(a, b) : compareVersions(ours, theirs);
  };
}

/** Where somebody else chooses, tags are names. */
export const noOrder: TagOrder = (a, b) => (a === b ? 0 : null);
