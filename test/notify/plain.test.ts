import { expect, test } from "bun:test";
import { clean, oneLine, printed } from "../../src/notify/plain.ts";
import { escaped } from "../../src/notify/slack/text.ts";

/** Each is invisible, or does something to what is around it. */
const unwanted = [
  ..."\u0000\u0007\u001b\u007f\u0085\u009b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069",
  "\u001b[31m",
  "\u001b]0;title\u0007",
];

test.each(unwanted.map((sign) => [JSON.stringify(sign), sign]))(
  "%s gets into no kind of message",
  (_, sign) => {
    for (const text of [clean, printed, escaped]) expect(text(`a${sign}b`)).toBe("ab");
    expect(oneLine(`a${sign}b`)).toMatch(/^a ?b$/);
  },
);

test("lines and tabs stay where there may be some", () => {
  expect(clean("a\r\n\tb\rc")).toBe("a\n\tb\nc");
  expect(printed("a \r\n\tb")).toBe("a\n    b");
  expect(oneLine("a\r\n\tb")).toBe("a b");
});
