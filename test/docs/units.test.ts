import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codeSpans, readPage } from "../support/docs-pages.ts";
import { tempDir } from "../support/temp-dir.ts";
import { dropIns } from "../support/unit-text.ts";

/** The rows of operations.md's table of changes to the unit. */
const [, below = ""] = readPage("docs/operations.md").prose.split("| wish | what changes |\n| --- | --- |\n");
const rows = below.slice(0, below.indexOf("\n\n")).split("\n");

test("what operations.md changes in the unit is what the unit's head says", () => {
  const unit = readFileSync("packaging/systemd/dewy@.service", "utf8").replaceAll("%i", "shop");
  const lines = unit.split("\n").map((line) => line.replace(/^# */, ""));
  const settings = rows.flatMap(codeSpans).filter((span) => /^[A-Z][A-Za-z]+=/.test(span));
  const unknown = settings.filter((setting) => !lines.some((line) => matches(line, setting)));
  expect(unknown).toEqual([]);
  expect(settings.length).toBeGreaterThan(12);
});

test("operations.md has a row for each change that the unit's head has", () => {
  const told = rows.flatMap(codeSpans);
  const missing = [...dropIns("dewy@.service")].filter(([, change]) => {
    const lines = change.replaceAll("%i", "shop").split("\n");
    return !told.some((span) => lines.includes(span) && !span.endsWith("="));
  });
  expect(missing).toEqual([]);
});

test("what migration.md adds to a unit is right in systemd's eyes", () => {
  const block = readPage("docs/migration.md").blocks.find(({ text }) => text.includes("<<'UNIT'"));
  const [, change = ""] = /<<'UNIT'\n([\s\S]*?)\nUNIT\n/.exec(block?.text ?? "") ?? [];
  expect(change).toContain("\nKillMode=process\n");
  using dir = tempDir();
  const path = join(dir.path, "dewy.service");
  writeFileSync(path, "[Service]\nExecStart=/bin/true\n");
  mkdirSync(`${path}.d`);
  writeFileSync(join(`${path}.d`, "agent.conf"), `${change}\n`);
  const { exitCode, stderr } = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", path]);
  expect(`${stderr}`.split("\n").filter((line) => line.includes(dir.path))).toEqual([]);
  expect(exitCode).toBe(0);
});

/** A name alone stands for any value. */
function matches(line: string, setting: string): boolean {
  return setting.endsWith("=") ? line.startsWith(setting) : line === setting || line === `#${setting}`;
}
