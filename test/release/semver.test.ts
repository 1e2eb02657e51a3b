import { describe, expect, test } from "bun:test";
import { semverScheme } from "../../src/release/semver.ts";
import { compareVersions, type VersionScheme } from "../../src/release/version.ts";

function parsed(scheme: VersionScheme, tag: string) {
  const version = scheme.parse(tag);
  if (version === null) throw new Error(`${tag} is no version`);
  return version;
}

const any = semverScheme(null);
const compare = (a: string, b: string) => Math.sign(compareVersions(parsed(any, a), parsed(any, b)));

/** Oldest first; the pre-releases are the example of semver.org, section 11.4. */
const ascending = [
  "v0.9.9",
  "1.0.0-alpha",
  "v1.0.0-alpha.1",
  "1.0.0-alpha.beta",
  "v1.0.0-beta",
  "1.0.0-beta.2",
  "1.0.0-beta.11",
  "1.0.0-rc.1",
  "1.0.0-rc.9",
  "1.0.0-rc.10",
  "v1.0.0",
  "1.0.1",
  "1.9.0",
  "1.10.0",
  "2.0.0-0",
  "2.0.0-20240101120000123",
  "2.0.0-20240101120000124",
  "2.0.0-a",
  "2.0.0-a-b",
  "2.0.0",
  "10.0.0",
];

test("precedence is SemVer 2.0's", () => {
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) {
      expect({ a, b, order: compare(a, b) }).toEqual({ a, b, order: Math.sign(i - j) });
    }
  }
});

describe("where SemVer leaves the order open, every host still chooses alike", () => {
  test.each([
    ["1.0.0+blue", "1.0.0+green"],
    ["1.0.0+9", "1.0.0+10"],
    ["1.0.0", "v1.0.0"],
  ])("%s comes before %s, whichever is asked first", (a, b) => {
    expect(compare(a, b)).toBe(-1);
    expect(compare(b, a)).toBe(1);
    expect(compare(a, a)).toBe(0);
  });
});

test.each([
  ["v1.2.3", { preRelease: false, build: "", numbers: [1, 2, 3] }],
  ["1.2.3", { preRelease: false, build: "" }],
  ["v1.2.3-rc.1", { preRelease: true, build: "" }],
  ["v1.2.3+blue", { preRelease: false, build: "blue" }],
  ["v1.2.3-rc.1+blue.7", { preRelease: true, build: "blue.7" }],
  ["1.2.3-0123a", { preRelease: true }],
])("%s is read", (tag, expected) => {
  expect(parsed(any, tag)).toMatchObject({ tag, ...expected });
});

test.each([
  "",
  "v",
  "1",
  "1.2",
  "1.2.3.4",
  "vv1.2.3",
  "V1.2.3",
  "=1.2.3",
  " 1.2.3",
  "1.2.3 ",
  "v1.2.3\n",
  "01.2.3",
  "1.2.3-01",
  "1.2.3-",
  "1.2.3+",
  "1.2.3-rc..1",
  "release-1.2.3",
  "latest",
  "99999999999999999999.0.0",
  `1.2.3-${"a".repeat(300)}`,
])("%j is no version and ignored", (tag) => {
  expect(any.parse(tag)).toBeNull();
});

describe("a constraint", () => {
  test.each([
    ["~1.4", "1.4.9", true],
    ["~1.4", "v1.5.0", false],
    ["^1", "1.99.0+blue", true],
    [">=1.2 <2 || 3.x", "3.1.0", true],
    ["~1.4", "1.4.9-rc.1", true],
  ])("%s admits %s: %p", (constraint, tag, admitted) => {
    expect(parsed(semverScheme(constraint), tag).satisfies).toBe(admitted);
  });

  test("that is none is refused with an example", () => {
    expect(() => semverScheme("newest")).toThrow(expect.objectContaining({ code: "config-invalid" }));
  });
});
