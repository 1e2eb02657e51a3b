import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { type Block, commandLines, isShell, parsePage, readPages } from "../support/docs-pages.ts";
import { isRun, missingLine, pageLimitMs, stepsOf, wrongScreens } from "../support/docs-run.ts";

/** Who runs what is marked `<!-- test: name -->`, and the words in it by which it takes the blocks. */
const runners: Readonly<Record<string, readonly [file: string, by: string]>> = {
  s3: ["test/e2e/cloud/readme.test.ts", '"s3"'],
  gs: ["test/e2e/cloud/readme.test.ts", '"gs"'],
  redis: ["test/e2e/cloud/readme.test.ts", '"redis"'],
  install: ["test/docs/install.test.ts", "installScripts("],
  directory: ["test/docs/blocks.test.ts", '"directory"'],
  unit: ["test/docs/migration-unit.test.ts", '"unit"'],
  "unit-back": ["test/docs/migration-unit.test.ts", '"unit-back"'],
  screens: ["test/e2e/screens.test.ts", "screensIn("],
};

const pages = readPages();
const blocks = pages.flatMap((page) => page.blocks).filter(isShell);
const where = ({ page, line, heading }: Block) => `${page}:${line} (${heading})`;

describe("every shell block", () => {
  test("is run, or says why not", () => {
    const loose = blocks.filter((block) => !isRun(block) && block.mark === null);
    expect(loose.map(where)).toEqual([]);
  });

  test("that another test runs names one that there is, and that takes it", () => {
    const named = blocks.filter(({ mark }) => mark?.kind === "test");
    const unknown = named.filter(({ mark }) => {
      const [file, by] = runners[mark?.text ?? ""] ?? ["", ""];
      return !existsSync(file) || !readFileSync(file, "utf8").includes(by);
    });
    expect(unknown.map(where)).toEqual([]);
  });

  test("that another test runs is the only one of its name, but for those that install dewy", () => {
    const names = blocks.flatMap(({ mark }) => (mark?.kind === "test" ? [mark.text] : []));
    const once = names.filter((name) => name !== "install").sort();
    expect(once).toEqual(
      Object.keys(runners)
        .filter((name) => name !== "install")
        .sort(),
    );
  });

  test("that is an illustration gives a reason, with tests that there are", () => {
    const reasons = blocks.filter(({ mark }) => mark?.kind === "illustration");
    const wrong = reasons.filter(({ mark }) => {
      const named = mark?.text.match(/(?:test|docs)\/[\w/.-]+[\w/]/g) ?? [];
      return (mark?.text.length ?? 0) < 10 || !named.every((path) => existsSync(path));
    });
    expect(wrong.map(where)).toEqual([]);
  });

  test("is found by this test", () => {
    const page = parsePage(
      "x.md",
      "# A\n```sh\ntrue\n```\n<!-- illustration: needs an account -->\n<!-- more -->\n```sh\nfalse\n```\n",
    );
    expect(page.blocks.map(isRun)).toEqual([true, false]);
    expect(page.blocks[1]?.mark?.text).toBe("needs an account");
    expect(blocks.filter(isRun).length).toBeGreaterThan(20);
  });
});

test.each([
  ["a\nb", "a\nx\nb\n", null],
  ["a\nb", "b\na\n", "b"],
  ["since … ago", "  since 5 s ago\n", null],
  ["exactly", "exactly so\n", "exactly"],
])("the screen %j in the output %j", (screen, output, missing) => {
  expect(missingLine(screen, output)).toBe(missing);
});

/** That one needs an engine: container-mode.test.ts. */
const runnable = pages.filter((page) => stepsOf(page).length > 0 && page.path !== "docs/container-mode.md");

/** They mostly wait, so two at a time; more would make each other late. */
const pairs = runnable
  .filter((_, index) => index % 2 === 0)
  .map((page, index) => [page, ...runnable.slice(2 * index + 1, 2 * index + 2)])
  .map((pair) => [pair.map(({ path }) => path).join(" and "), pair] as const);

test.each(pairs)(
  "what %s say works as it is written",
  async (_, pair) => {
    const wrong = await Promise.all(pair.map((page) => wrongScreens(page).catch((why) => [String(why)])));
    expect(wrong.flat()).toEqual([]);
  },
  pageLimitMs + 60_000,
);

test("the README's quick start from a directory works as it is written", async () => {
  const block = blocks.find(({ mark }) => mark?.kind === "test" && mark.text === "directory");
  const lines = block === undefined ? [] : commandLines(block);
  expect(lines.at(-1)).toStartWith("dewy server ");
  const app = "mkdir build && printf '#!/bin/sh\\nexec sleep 1000\\n' > build/myapp && chmod +x build/myapp";
  const script = [
    app,
    ...lines.slice(0, -1),
    `${lines.at(-1)} 2> log &`,
    "until grep 'Deploy done\\|Keep releases' log; do sleep 1; done",
  ];
  const page = parsePage(
    "quick-start.md",
    ["```sh", ...script, "```", "```text", "…Keep releases…", "```"].join("\n"),
  );
  expect(await wrongScreens(page)).toEqual([]);
}, 60_000);
