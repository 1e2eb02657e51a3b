import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fileNameOf, keyOf } from "../../src/cache/key.ts";

describe("cache keys as file names", () => {
  test.each([
    ["current", "current"],
    ["v1.2.3--app_linux_amd64.tar.gz", "v1.2.3--app_linux_amd64.tar.gz"],
    ["v1.0.0+blue--my app.zip", "v1.0.0+blue--my app.zip"],
    ["a/b", "a%2Fb"],
    ["..", "%2E."],
    [".hidden", "%2Ehidden"],
    ["50%", "50%25"],
    ["nul\0", "nul%00"],
  ])("%j becomes %s", (key, name) => {
    expect(fileNameOf(key)).toBe(name);
    expect(keyOf(name)).toBe(key);
  });

  test.each([".lock", ".partial-1-x", "a%2", "%zz", "%41", "a%2fb"])("%s is no key's name", (name) => {
    expect(keyOf(name)).toBeNull();
  });

  test("every key round-trips through a name that is one harmless path segment", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (key) => {
        const name = fileNameOf(key);
        expect(name).not.toMatch(/[/\\\0]/);
        expect(name).not.toStartWith(".");
        expect(keyOf(name)).toBe(key);
      }),
    );
  });
});
