import { describe, expect, test } from "bun:test";
import { flagTable, readmePath, withTable } from "../../scripts/flag-table.ts";
import { flags } from "../../src/cli/arguments/flags.ts";

test("README.md holds the table of flags as it is now (else: bun scripts/flag-table.ts --write)", async () => {
  const readme = await Bun.file(readmePath).text();
  expect(readme).toBe(withTable(readme));
});

describe("the table", () => {
  test("has a row for every flag, of four cells", () => {
    const rows = flagTable().split("\n");
    expect(rows).toHaveLength(flags.length + 2);
    for (const row of rows) expect(row.split(/(?<!\\)\|/)).toHaveLength(6);
  });

  test("replaces what stands between the markers and nothing else", () => {
    const readme = "a\n<!-- flags:start -->\nold\n<!-- flags:end -->\nb\n";
    expect(withTable(readme)).toBe(`a\n<!-- flags:start -->\n${flagTable()}\n<!-- flags:end -->\nb\n`);
    expect(withTable(withTable(readme))).toBe(withTable(readme));
  });

  test("a README without the markers is an error, not a silent pass", () => {
    expect(() => withTable("# dewy\n")).toThrow("needs the markers");
    expect(() => withTable("<!-- flags:end --> <!-- flags:start -->")).toThrow("needs the markers");
  });
});
