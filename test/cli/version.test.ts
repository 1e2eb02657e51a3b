import { expect, test } from "bun:test";
import { dirname, resolve } from "node:path";
import { stamp, versionLine } from "../../src/version.ts";

test.each([
  ["1.2.3", "v1.2.3"],
  ["v1.2.3", "v1.2.3"],
  ["vv1.2.3", "v1.2.3"],
  ["dev", "dev"],
])("%s is stamped with one v", (given, version) => {
  const build = stamp(given, "0123456789abcdef", "2026-01-02T03:04:05Z");
  expect(versionLine(build, "text", () => new Date())).toBe(
    `dewy version: ${version} [0123456, 2026-01-02T03:04:05Z]\n`,
  );
});

/** What is loaded before anything runs: a module and all it imports statically. */
async function loadedWith(entry: string): Promise<string[]> {
  const seen = new Set<string>([entry]);
  for (const path of seen) {
    if (!path.endsWith(".ts")) continue;
    const code = await Bun.file(path).text();
    for (const found of new Bun.Transpiler({ loader: "ts" }).scanImports(code)) {
      if (found.kind !== "import-statement") continue;
      seen.add(found.path.startsWith(".") ? resolve(dirname(path), found.path) : found.path);
    }
  }
  return [...seen];
}

test("answering --version or --help loads no package and none of the agent", async () => {
  const src = resolve(import.meta.dir, "../../src");
  const loaded = await loadedWith(`${src}/main.ts`);
  expect(loaded).toContain(`${src}/cli/arguments/help.ts`);
  const packages = loaded.filter((path) => !path.startsWith("/") && !path.startsWith("node:"));
  expect(packages).toEqual([]);
  const folders = loaded.map((path) => /\/src\/(\w+)\//.exec(path)?.[1]);
  expect(new Set(folders.filter((folder) => folder !== undefined))).toEqual(
    new Set(["cli", "config", "util"]),
  );
  expect(
    loaded.filter((path) => /cli\/(dispatch|run|operator|operator-run)\.ts|config\/(config|load)/.test(path)),
  ).toEqual([]);
});
