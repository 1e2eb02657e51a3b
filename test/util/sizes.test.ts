import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseSize } from "../../src/util/sizes.ts";

test.each([
  ["1", 1],
  ["1048576", 1_048_576],
  ["1B", 1],
  ["500MB", 500_000_000],
  ["500 MB", 500_000_000],
  ["500mb", 500_000_000],
  ["2GiB", 2 ** 31],
  ["1.5GiB", 1.5 * 2 ** 30],
  ["10kB", 10_000],
  ["10KiB", 10_240],
  ["1TiB", 2 ** 40],
  ["1TB", 1e12],
])("%s is %p bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  "",
  "0",
  "0MB",
  "0.5",
  "-1",
  "1.",
  ".5MB",
  "MB",
  "1G",
  "1Gb/s",
  "1 000",
  "1e9",
  "0x10",
  "9000000TiB",
])("%j is refused with what would be right", (text) => {
  expect(() => parseSize(text)).toThrow(
    expect.objectContaining({ code: "config-invalid", hint: "write 500MB, 2GiB or a number of bytes" }),
  );
});

test("any text is a whole number of bytes or an error with a hint", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,20}(\.\d)?[kKmMgGtT]?i?[bB]?$/)), (text) => {
      try {
        const bytes = parseSize(text);
        expect(Number.isSafeInteger(bytes) && bytes >= 1).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: "config-invalid", hint: expect.any(String) });
      }
    }),
  );
});
