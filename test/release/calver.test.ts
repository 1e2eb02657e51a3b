import { describe, expect, test } from "bun:test";
import { calverScheme } from "../../src/release/calver.ts";
import { compareVersions } from "../../src/release/version.ts";

/** The oldest tag first. */
const ordered: readonly [format: string, tags: readonly string[]][] = [
  [
    "YYYY.0M.0D.MICRO",
    [
      "2023.12.31.99",
      "v2024.01.02.0",
      "2024.01.02.9",
      "2024.01.02.10-rc.9",
      "2024.01.02.10-rc.10",
      "2024.01.02.10",
      "2024.11.01.0",
    ],
  ],
  ["YYYY.MM.MICRO", ["2024.1.0", "2024.2.0", "2024.10.0", "2024.12.3"]],
  ["YY.MM", ["9.1", "24.4", "24.10", "106.1"]],
  ["0Y.0W", ["06.52", "24.01", "24.53"]],
  ["YYYY.WW.DD", ["2024.1.1", "2024.9.31", "2024.53.1"]],
  ["YYYY-0M-0D", ["2024-01-02-rc.1", "2024-01-02", "v2024-01-03"]],
  ["YYYY_0M_MICRO", ["2024_01_9", "2024_01_10+blue"]],
  ["YYYY/0M~MICRO", ["2024/01~1", "2024/02~0"]],
  ["vYYYY.MM", ["2024.1", "v2024.2"]],
  ["YYYY0M0D", ["20240131", "20240201"]],
];

test.each(ordered)("%s orders its tags", (format, tags) => {
  const versions = tags.map((tag) => calverScheme(format).parse(tag));
  for (const [i, a] of versions.entries()) {
    for (const [j, b] of versions.entries()) {
      if (a === null || b === null) throw new Error(`${tags[i]} or ${tags[j]} is not read`);
      expect({ a: a.tag, b: b.tag, order: Math.sign(compareVersions(a, b)) }).toEqual({
        a: a.tag,
        b: b.tag,
        order: Math.sign(i - j),
      });
    }
  }
});

describe("tags that do not fit", () => {
  test.each([
    [
      "YYYY.0M.0D",
      ["2024.1.02", "2024.13.01", "2024.00.10", "2024.02.32", "24.02.01", "2024.02.01.1", "x2024.02.01"],
    ],
    ["YYYY.MM", ["2024.01", "2024.13", "2024.0", "2024-1", "2024.1 ", "2024.1\n", "vv2024.1"]],
    ["YYYY.0W", ["2024.54", "2024.00", "2024.5"]],
    ["YY.MICRO", ["024.1", "24.01", "24.99999999999999999999", "24.1-", "24.1+", "24.1-rc..1", "24.1-01"]],
    ["YYYY.MICRO", ["2024x1", "2024.", "2024", ""]],
  ])("%s", (format, tags) => {
    for (const tag of tags)
      expect({ tag, version: calverScheme(format).parse(tag) }).toEqual({ tag, version: null });
  });
});

test("pre-release and build are SemVer's", () => {
  expect(calverScheme("YYYY.MM").parse("v2024.5-rc.1+blue")).toMatchObject({
    tag: "v2024.5-rc.1+blue",
    preRelease: true,
    build: "blue",
    satisfies: true,
    numbers: [2024, 5],
  });
});

describe("formats", () => {
  test.each(["", "v", "semver", "YYYY.M.D", "YYYY.MM.x", "YYYYvMM", "YYYY MM", "1.YYYY", "yyyy.mm"])(
    "%j is refused with an example",
    (format) => {
      expect(() => calverScheme(format)).toThrow(
        expect.objectContaining({
          code: "config-invalid",
          hint: expect.stringContaining("YYYY.0M.0D.MICRO"),
        }),
      );
    },
  );
});
