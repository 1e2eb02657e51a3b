import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { calverScheme } from "../../src/release/calver.ts";
import { type SelectPolicy, selectTag } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";

const policy = (changes: Partial<SelectPolicy> = {}): SelectPolicy => ({
  scheme: semverScheme(null),
  preRelease: false,
  slot: null,
  ...changes,
});

describe("selectTag", () => {
  test.each<[string, string[], Partial<SelectPolicy>, string | null]>([
    ["the newest version", ["v1.9.0", "v1.10.0", "v1.2.0"], {}, "v1.10.0"],
    ["no pre-release by default", ["v1.0.0", "v1.1.0-rc.1"], {}, "v1.0.0"],
    [
      "pre-releases on request",
      ["v1.1.0-rc.9", "v1.1.0-rc.10", "v1.0.0"],
      { preRelease: true },
      "v1.1.0-rc.10",
    ],
    ["a release above its pre-releases", ["v1.1.0-rc.10", "v1.1.0"], { preRelease: true }, "v1.1.0"],
    ["within a constraint", ["v1.4.2", "v1.5.0"], { scheme: semverScheme("~1.4") }, "v1.4.2"],
    [
      "calendar versions",
      ["2024.2.0", "2024.10.0", "v1.0.0"],
      { scheme: calverScheme("YYYY.MM.MICRO") },
      "2024.10.0",
    ],
    ["nothing among other tags", ["latest", "nightly"], {}, null],
    ["nothing at all", [], {}, null],
    ["nothing when only pre-releases are there", ["v1.0.0-rc.1"], {}, null],
    ["builds too when no slot is asked for", ["v1.0.0", "v1.1.0+green"], {}, "v1.1.0+green"],
  ])("takes %s", (_, tags, changes, tag) => {
    expect(selectTag(tags, policy(changes))).toEqual({ tag, otherSlot: null });
  });

  test.each<[string, string[], string | null, string | null]>([
    ["a newer green never starves blue", ["v1.0.0+blue", "v2.0.0+green"], "v1.0.0+blue", "v2.0.0+green"],
    ["an older green is not worth a word", ["v2.0.0+blue", "v1.0.0+green"], "v2.0.0+blue", null],
    ["no slot in the tag is another slot", ["v1.0.0"], null, "v1.0.0"],
    ["a slot is the whole build metadata", ["v1.0.0+blue.1"], null, "v1.0.0+blue.1"],
    [
      "a newer pre-release was not to be had anyway",
      ["v1.0.0+blue", "v2.0.0-rc.1+green"],
      "v1.0.0+blue",
      null,
    ],
  ])("slot blue: %s", (_, tags, tag, otherSlot) => {
    expect(selectTag(tags, policy({ slot: "blue" }))).toEqual({ tag, otherSlot });
  });

  test("does not depend on the order in which a registry lists", () => {
    const number = fc.integer({ min: 0, max: 2 });
    const tag = fc
      .tuple(
        fc.constantFrom("", "v"),
        number,
        number,
        fc.constantFrom("", "-rc.1", "-rc.10"),
        fc.constantFrom("", "+a"),
      )
      .map(([v, major, minor, pre, build]) => `${v}${major}.${minor}.0${pre}${build}`);
    fc.assert(
      fc.property(fc.array(tag), fc.boolean(), (tags, preRelease) => {
        const chosen = selectTag(tags, policy({ preRelease }));
        expect(selectTag(tags.toReversed(), policy({ preRelease }))).toEqual(chosen);
        expect(selectTag(tags.toSorted(), policy({ preRelease }))).toEqual(chosen);
      }),
    );
  });
});
