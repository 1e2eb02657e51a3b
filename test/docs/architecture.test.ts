import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { codeSpans } from "../support/docs-pages.ts";

const page = readFileSync("docs/architecture.md", "utf8");
const rules = readFileSync("test/architecture.test.ts", "utf8");

test("the architecture page has the layers that the imports are held to, in their order", () => {
  const [, list = ""] = /const layers: [^=]+= \[\n([\s\S]*?)\n\];/.exec(rules) ?? [];
  const layers = [...list.matchAll(/\[([^\]]*)\]/g)].map((layer) => names(layer[1] ?? "", /"([\w-]+)"/g));
  const [, table = ""] = /<!-- layers:start -->\n([\s\S]*?)<!-- layers:end -->/.exec(page) ?? [];
  const rows = table.split("\n").filter((line) => line.startsWith("| `"));
  const told = rows.map((row) => codeSpans(row.split(" | ")[0] ?? "").sort());
  expect(layers.length).toBeGreaterThan(8);
  expect(told).toEqual(layers);
});

test("the architecture page says who reads the configuration", () => {
  const [, list = ""] = /const configReaders: [^=]+= \[([^\]]*)\]/.exec(rules) ?? [];
  const readers = names(list, /"([\w-]+)"/g).filter((name) => name !== "config");
  const [, told = ""] = /only ((?:`\w+`(?:, | and )?)+) read it/.exec(page) ?? [];
  expect(names(told, /`(\w+)`/g)).toEqual(readers);
});

function names(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "").sort();
}
