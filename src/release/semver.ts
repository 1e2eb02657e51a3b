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
  };
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
