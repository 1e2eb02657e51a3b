import { parse } from "semver";
import { DewyError } from "../errors.ts";
import type { VersionScheme } from "./version.ts";

/** CalVer's words (calver.org) → what their digits look like and how large they may be. */
const words: Record<string, { digits: string; max: number; min: number }> = {
  YYYY: { digits: "\\d{4}", min: 1000, max: 9999 },
  YY: { digits: "0|[1-9]\\d{0,2}", min: 0, max: 999 },
  "0Y": { digits: "\\d{2,3}", min: 0, max: 999 },
  MM: { digits: "[1-9]\\d?", min: 1, max: 12 },
  "0M": { digits: "\\d{2}", min: 1, max: 12 },
  WW: { digits: "[1-9]\\d?", min: 1, max: 53 },
  "0W": { digits: "\\d{2}", min: 1, max: 53 },
  DD: { digits: "[1-9]\\d?", min: 1, max: 31 },
  "0D": { digits: "\\d{2}", min: 1, max: 31 },
  MICRO: { digits: "0|[1-9]\\d*", min: 0, max: Number.MAX_SAFE_INTEGER },
};
const word = /YYYY|YY|0Y|MM|0M|WW|0W|DD|0D|MICRO/g;
const suffix = "(?<pre>-[0-9A-Za-z.-]+)?(?<build>\\+[0-9A-Za-z.-]+)?";

/** Tags of a CalVer format such as `YYYY.0M.0D.MICRO`, with an optional `v`; pre-release and build as in SemVer. */
export function calverScheme(format: string): VersionScheme {
  const bare = format.replace(/^v/, "");
  const used = parseFormat(bare);
  const pattern = new RegExp(`^v?${toPattern(bare)}${suffix}$`);
  return {
    parse(tag) {
      const match = pattern.exec(tag);
      if (match === null) return null;
      const numbers = used.map((_, index) => Number(match[index + 1]));
      const inRange = numbers.every((value, index) => {
        const limits = words[used[index] ?? ""];
        return limits !== undefined && value >= limits.min && value <= limits.max;
      });
      const rest = parse(`0.0.0${match.groups?.["pre"] ?? ""}${match.groups?.["build"] ?? ""}`);
      if (!inRange || rest === null) return null;
      return {
        tag,
        preRelease: rest.prerelease.length > 0,
        build: rest.build.join("."),
        satisfies: true,
        numbers,
        suffix: rest,
      };
    },
  };
}

function parseFormat(format: string): string[] {
  const used = format.match(word) ?? [];
  const leftover = format.replace(word, "");
  if (used.length === 0 || /[A-Za-z0-9\s]/.test(leftover)) {
    throw new DewyError("config-invalid", `"${format}" is not a CalVer format`, {
      hint: "join YYYY YY 0Y MM 0M WW 0W DD 0D MICRO by dots, for example YYYY.0M.0D.MICRO",
    });
  }
  return used;
}

function toPattern(format: string): string {
  let pattern = "";
  let end = 0;
  for (const match of format.matchAll(word)) {
    pattern += `${RegExp.escape(format.slice(end, match.index))}(${words[match[0]]?.digits})`;
    end = match.index + match[0].length;
  }
  return pattern + RegExp.escape(format.slice(end));
}
