import { expect, test } from "bun:test";
import { maskOf } from "../../src/util/mask.ts";

test.each<[string, readonly string[], string, string]>([
  ["every occurrence", ["s3cret-1"], "a=s3cret-1\nb=s3cret-1", "a=…\nb=…"],
  ["the longer one first", ["s3cret", "s3cret-long"], "s3cret-long s3cret", "… …"],
  ["no value that is found by chance", ["", "12345"], "took 12345 ms", "took 12345 ms"],
  [
    "a key line by line",
    ["-----BEGIN KEY-----\nMIIEabc\nMIIEdef\n-----END KEY-----\n"],
    "KEY=-----BEGIN KEY-----\n  MIIEabc\n  MIIEdef",
    "KEY=-----BEGIN KEY-----\n  …\n  …",
  ],
])("%s", (_, secrets, text, shown) => {
  expect(maskOf(secrets)(text)).toBe(shown);
});
