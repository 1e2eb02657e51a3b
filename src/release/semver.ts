import { parse, Range } from "semver";
import { DewyError } from "../errors.ts";
import type { VersionScheme } from "./version.ts";

/** SemVer 2.0 tags with an optional leading `v`. */
export function semverScheme(constraint: string | null): VersionScheme {
  const range = constraint === null ? null : parseRange(constraint);
  return {
    parse(tag) {
      // The library would trim blanks and take a second `v`.
      const version = /^v?\d\S*$/.test(tag) ? parse(tag.replace(/^v/, "")) : null;
      if (version === null) return null;
      return {
        tag,
        preRelease: version.prerelease.length > 0,
        build: version.build.join("."),
        satisfies: range === null || range.test(version),
        numbers: [version.major, version.minor, version.patch],
        suffix: version,
      };
    },
    mayBegin: (numbers) => range === null || overlaps(range, numbers),
  };
}

/** Whether a version that begins with these numbers, a pre-release too, may lie in the range. */
function overlaps(range: Range, numbers: readonly number[]): boolean {
  const next = numbers.with(-1, (numbers.at(-1) ?? 0) + 1);
  if (!next.every(Number.isSafeInteger)) return true;
  const first = (of: readonly number[]) => `${[...of, 0, 0].slice(0, 3).join(".")}-0`;
  // Declared without what a range takes and an intersection, too, looks at.
  const options = { loose: false, includePrerelease: true };
  return range.intersects(new Range(`>=${first(numbers)} <${first(next)}`, options), options);
}

/** Whether pre-releases count is for `pre-release=` to say, so the range takes them like any version. */
function parseRange(text: string): Range {
  try {
    return new Range(text, { includePrerelease: true });
  } catch (cause) {
    throw new DewyError("config-invalid", `constraint "${text}" is not a semver range`, {
      cause,
      hint: "write for example constraint=~1.4",
    });
  }
}
