import { describe, expect, test } from "bun:test";
import { readSelection, selectPolicy } from "../../src/registry/selection.ts";
import { selectTag } from "../../src/release/select.ts";

const host = { slot: null, calver: null };
const read = (query: string) => readSelection(new URL(`file:///dir${query}`));

describe("what a registry's URL says of the release to choose", () => {
  test.each([
    ["", { artifact: null, preRelease: false, constraint: null, calver: null }],
    ["?pre-release=true", { artifact: null, preRelease: true, constraint: null, calver: null }],
    ["?pre-release=false", { artifact: null, preRelease: false, constraint: null, calver: null }],
    ["?artifact=a.zip", { artifact: "a.zip", preRelease: false, constraint: null, calver: null }],
    ["?constraint=~1.4", { artifact: null, preRelease: false, constraint: "~1.4", calver: null }],
    ["?calver=YYYY.0M", { artifact: null, preRelease: false, constraint: null, calver: "YYYY.0M" }],
  ])("%j", (query, selection) => {
    expect(read(query)).toEqual(selection);
  });

  test.each([
    ["?prerelease=true", 'unknown parameter "prerelease"'],
    ["?pre-release=maybe", "maybe"],
    ["?pre-release=true&pre-release=false", "more than once"],
    ["?artifact=", "is empty"],
    ["?constraint=not-a-range", "not-a-range"],
    ["?calver=nonsense", "nonsense"],
    ["?constraint=~1&calver=YYYY.0M", "exclude each other"],
  ])("%j is refused: %s", (query, message) => {
    expect(() => read(query)).toThrow(message);
  });
});

describe("the rule by which a release is chosen", () => {
  const tags = ["v1.4.2", "v1.5.0-rc.1", "v2.0.0", "v1.4.3+blue", "2026.09.1"];
  const none = read("");

  test.each([
    ["the newest", none, host, "v2.0.0"],
    ["a constraint", read("?constraint=~1.4"), host, "v1.4.3+blue"],
    ["a slot", none, { slot: "blue", calver: null }, "v1.4.3+blue"],
    ["CalVer in the URL", read("?calver=YYYY.0M.MICRO"), host, "2026.09.1"],
    ["CalVer on the command line", none, { slot: null, calver: "YYYY.0M.MICRO" }, "2026.09.1"],
    [
      "CalVer in both, alike",
      read("?calver=YYYY.0M.MICRO"),
      { slot: null, calver: "YYYY.0M.MICRO" },
      "2026.09.1",
    ],
  ])("%s", (_, selection, wanted, tag) => {
    expect(selectTag(tags, selectPolicy(selection, wanted)).tag).toBe(tag);
  });

  test.each([
    ["two formats", read("?calver=YYYY.0M"), { slot: null, calver: "YY.0M" }, "differ"],
    [
      "a constraint and --calver",
      read("?constraint=~1"),
      { slot: null, calver: "YY.0M" },
      "exclude each other",
    ],
  ])("%s is refused", (_, selection, wanted, message) => {
    expect(() => selectPolicy(selection, wanted)).toThrow(message);
  });
});
