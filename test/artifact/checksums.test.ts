import { expect, test } from "bun:test";
import { checksumFor } from "../../src/artifact/checksums.ts";

const a = "a".repeat(64);
const b = "b".repeat(64);
const name = "app_linux_amd64.tar.gz";

const found: [string, string, "sidecar" | "aggregate"][] = [
  ["a bare digest", `${a}\n`, "sidecar"],
  ["a bare digest without a line end", a, "sidecar"],
  ["upper case", `${a.toUpperCase()}  ${name}`, "sidecar"],
  ["text mode", `${a}  ${name}\n`, "aggregate"],
  ["binary mode", `${a} *${name}\n`, "aggregate"],
  ["a tab", `${a}\t${name}\n`, "aggregate"],
  [
    "CRLF, a BOM, comments and blank lines",
    `\ufeff# made by CI\r\n\r\n${b}  x\r\n${a}  ${name}\r\n`,
    "aggregate",
  ],
  ["./ before the name", `${a}  ./${name}\n`, "aggregate"],
  ["a directory before the name", `${a}  dist/${name}\n`, "aggregate"],
  ["the exact name before one in a directory", `${b}  old/${name}\n${a}  ${name}\n`, "aggregate"],
  ["BSD", `SHA256 (${name}) = ${a}\n`, "aggregate"],
  ["BSD among other algorithms", `MD5 (${name}) = ${"0".repeat(32)}\nSHA256 (${name}) = ${a}`, "aggregate"],
  ["SHA-512 beside it", `${"c".repeat(128)}  ${name}\n${a}  ${name}`, "aggregate"],
  ["the same line twice", `${a}  ${name}\n${a}  ${name}\n`, "aggregate"],
];
test.each(found)("%s", (_, text, kind) => {
  expect(checksumFor(name, text, kind)).toBe(`sha256:${a}`);
});

test.each([
  ["other files only", `${a}  other.zip\n`],
  ["a name that only begins like it", `${a}  ${name}.sig\n`],
  ["another algorithm", `${"c".repeat(128)}  ${name}\n`],
])("not listed: %s", (_, text) => {
  expect(checksumFor(name, text, "aggregate")).toBeNull();
});

const garbage: [string, string, "sidecar" | "aggregate", string][] = [
  ["nothing", "\n", "sidecar", "is empty"],
  ["comments only", "# soon\n", "aggregate", "is empty"],
  ["a web page", "<!doctype html>\n<p>Not found", "sidecar", "no checksum"],
  ["a bare digest in an aggregate", `${a}\n`, "aggregate", "no checksum"],
  ["a short digest", `${a.slice(1)}  ${name}`, "aggregate", "63 hex digits"],
  ["SHA-512 in a .sha256", `${"c".repeat(128)}  ${name}`, "sidecar", "128 hex digits"],
  ["two digests for one name", `${a}  ${name}\n${b} *${name}`, "aggregate", "2 different digests"],
  ["two bare digests", `${a}\n${b}\n`, "sidecar", "2 different digests"],
  ["one good line among garbage", `${a}  ${name}\n\0\x01\x02`, "aggregate", "no checksum"],
];
test.each(garbage)("refused: %s", (_, text, kind, why) => {
  expect(() => checksumFor(name, text, kind)).toThrow(why);
});
