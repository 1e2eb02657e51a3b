import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { type Block, commandLines, isShell, parsePage, readPages } from "../support/docs-pages.ts";
import { isRun, missingLine, stepsOf, wrongScreens } from "../support/docs-run.ts";

/** Who runs what is marked `<!-- test: name -->`. */
const runners: Readonly<Record<string, string>> = {
  s3: "test/e2e/cloud/readme.test.ts",
  gs: "test/e2e/cloud/readme.test.ts",
  redis: "test/e2e/cloud/readme.test.ts",
};

/** The README's blocks without a mark, by their heading: who runs what they show, or why nobody can. */
const readme: Readonly<Record<string, string>> = {
  dewy: "scripts/test and scripts/demo are what CI calls",
  Install: "against a local release server: test/packaging/served.test.ts",
  "From a directory": "run below",
  "From GitHub Releases": "needs an account; the same against a local GitHub: test/e2e/github.test.ts",
  "From a gRPC server of your own": "needs the reader's server; a local one: test/e2e/cloud/",
  "Telling people": "needs accounts; local services: test/e2e/notify.test.ts",
  "The app": "the flags of test/e2e/health.test.ts and test/e2e/prove/",
  "Apps that can't take a socket over": "test/e2e/proxy.test.ts",
  Containers: "needs an engine and a registry: test/e2e/container/",
  "When to deploy": "test/schedule/; the windows are an example's",
  "A configuration file": "test/e2e/config.test.ts",
  "When something is wrong": "the screens: test/e2e/screens.test.ts",
};

const pages = readPages();
const blocks = pages.flatMap((page) => page.blocks).filter(isShell);
const where = ({ page, line, heading }: Block) => `${page}:${line} (${heading})`;

describe("every shell block", () => {
  test("is run, or says why not", () => {
    const loose = blocks.filter((block) => !isRun(block) && block.mark === null && !isListed(block));
    expect(loose.map(where)).toEqual([]);
  });

  test("that another test runs names one that there is, and that knows it", () => {
    const named = blocks.filter(({ mark }) => mark?.kind === "test");
    const unknown = named.filter(({ mark }) => {
      const file = runners[mark?.text ?? ""] ?? "";
      return !existsSync(file) || !readFileSync(file, "utf8").includes(`"${mark?.text}"`);
    });
    expect(unknown.map(where)).toEqual([]);
  });

  test("that is an illustration gives a reason", () => {
    const bare = blocks.filter(({ mark }) => mark?.kind === "illustration" && mark.text.length < 10);
    expect(bare.map(where)).toEqual([]);
  });

  test("is found by this test", () => {
    const page = parsePage(
      "x.md",
      "# A\n```sh\ntrue\n```\n<!-- illustration: needs an account -->\n```sh\nfalse\n```\n",
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

test.concurrent.each(runnable.map((page) => [page.path, page] as const))(
  "%s works as it is written",
  async (_, page) => {
    expect(await wrongScreens(page)).toEqual([]);
  },
  180_000,
);

test("the README's quick start from a directory works as it is written", async () => {
  const block = blocks.find(({ page, heading }) => page === "README.md" && heading === "From a directory");
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

/** A README edited elsewhere keeps its blocks' reasons as long as their headings stay. */
function isListed({ page, heading }: Block): boolean {
  return page === "README.md" && readme[heading] !== undefined;
}
