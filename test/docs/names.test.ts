import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { commands } from "../../src/cli/arguments/commands.ts";
import { flagByName, flags } from "../../src/cli/arguments/flags.ts";
import { readTokens } from "../../src/cli/arguments/tokens.ts";
import { environment } from "../../src/cli/arguments/variables.ts";
import { optionByName } from "../../src/container/run-options/table.ts";
import { codeSpans, commandLines, isShell, readPages } from "../support/docs-pages.ts";
import { wordsOf } from "../support/shell-words.ts";

const pages = readPages();
const docs = pages.filter(({ path }) => path !== "README.md");
const installer = readFileSync("scripts/install.sh", "utf8");
const source = [...new Bun.Glob("**/*.ts").scanSync("src")]
  .map((path) => readFileSync(`src/${path}`, "utf8"))
  .join("\n");

/** What a page says of other programs' variables. */
const foreign: Readonly<Record<string, string>> = {
  CREDENTIALS_DIRECTORY: "systemd's",
  MINIO_ROOT_USER: "MinIO's",
  MINIO_ROOT_PASSWORD: "MinIO's",
  ADMIN_PORT: "an example's own",
};

/** A page's code spans (but for messages that dewy prints) and command lines that begin with `dewy`, as words. */
const calls = pages.flatMap(({ path, prose, blocks }) => {
  const spans = codeSpans(prose).filter((span) => /^dewy /.test(span) && !source.includes(span));
  const lines = blocks.filter(isShell).flatMap(commandLines);
  const inLines = lines.flatMap(
    (line) => /(?:^|[|&;(] *|until +! +|until +)(dewy .*)$/.exec(line)?.[1] ?? [],
  );
  return [...spans, ...inLines].map((text) => ({
    path,
    text,
    words: wordsOf(text.replace(/[[\]]/g, "")).slice(1),
  }));
});

describe("the pages name only what there is:", () => {
  test("commands and their flags", () => {
    const wrong = calls.flatMap(({ path, text, words }) => {
      const { problems } = readTokens(words);
      return problems.map(({ message }) => `${path}: ${text}: ${message}`);
    });
    expect(wrong).toEqual([]);
    expect(calls.length).toBeGreaterThan(60);
  });

  test("flags that stand alone", () => {
    const spans = docs.flatMap(({ path, prose }) =>
      codeSpans(prose)
        .filter((span) => /^--[a-z]/.test(span))
        .map((span) => ({ path, name: /^--([a-z0-9-]+)/.exec(span)?.[1] ?? "" })),
    );
    const unknown = spans.filter(
      ({ name }) =>
        flagByName(name) === undefined &&
        optionByName(name) === undefined &&
        !installer.includes(`--${name}`),
    );
    expect(unknown).toEqual([]);
    expect(spans.length).toBeGreaterThan(100);
  });

  test("environment variables", () => {
    const named = docs.flatMap(({ path, text }) =>
      [...text.matchAll(/(?<![\w{])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?!\w)/g)].map(([name]) => ({ path, name })),
    );
    const unknown = named.filter(({ name }) => !isVariable(name));
    expect(unknown).toEqual([]);
    expect(named.length).toBeGreaterThan(60);
  });

  test("parameters of URLs", () => {
    const named = docs.flatMap(({ path, prose }) =>
      codeSpans(prose).flatMap((span) => {
        const name = /^([a-z][a-z-]+)=\S*$/.exec(span)?.[1];
        return name === undefined ? [] : [{ path, name }];
      }),
    );
    const known = (name: string) => new RegExp(`["{ ,]${name}["]?[:,} ]`).test(source);
    expect(named.filter(({ name }) => !known(name))).toEqual([]);
    expect(named.length).toBeGreaterThan(40);
  });

  test("paths of the project", () => {
    const spans = docs.flatMap(({ path, prose }) =>
      codeSpans(prose)
        .filter((span) => /^(src|test|scripts|packaging)\/\S*$/.test(span))
        .map((name) => ({ path, name })),
    );
    expect(spans.filter(({ name }) => !exists(name))).toEqual([]);
    expect(spans.length).toBeGreaterThan(20);
  });

  test("alerts, all of them", () => {
    const rules = readFileSync("packaging/prometheus/alerts.yml", "utf8");
    const there = [...rules.matchAll(/alert: (\w+)/g)].map((match) => match[1] ?? "");
    const told = docs.flatMap(({ prose }) => codeSpans(prose)).filter((span) => /^Dewy[A-Z]/.test(span));
    expect([...new Set(told)].sort()).toEqual(there.sort());
  });
});

describe("the pages name everything:", () => {
  const prose = docs.map(({ text }) => text).join("\n");

  test("each flag", () => {
    const names = [...new Set(flags.map(({ name }) => `--${name}`))];
    expect(names.filter((name) => !new RegExp(`${name}(?![\\w-])`).test(prose))).toEqual([]);
  });

  test("each command", () => {
    expect(commands.map(({ name }) => `dewy ${name}`).filter((name) => !prose.includes(name))).toEqual([]);
  });

  test("each page is linked from the README", () => {
    const readme = readFileSync("README.md", "utf8");
    const missing = readdirSync("docs").filter((name) => !readme.includes(`(docs/${name})`));
    expect(missing).toEqual([]);
  });
});

describe("operations.md", () => {
  test("has its messages in dewy's own words", () => {
    const page = docs.find(({ path }) => path === "docs/operations.md")?.text ?? "";
    const table = page.slice(page.indexOf("## Messages"), page.indexOf("## Run it"));
    const messages = table
      .split("\n")
      .filter((line) => /^\| `/.test(line))
      .flatMap((line) => codeSpans(line.split(" | ")[0] ?? ""));
    const parts = messages.flatMap((message) => message.split("…").map((part) => part.trim()));
    expect(parts.filter((part) => part.length > 4 && !source.includes(part))).toEqual([]);
    expect(messages.length).toBeGreaterThan(30);
  });
});

function isVariable(name: string): boolean {
  if (name.startsWith("CAP_")) return true; // Linux's capabilities
  const read = environment.some(({ name: own, help }) =>
    `${own} ${help}`.split(/[^A-Z0-9_]+/).includes(name),
  );
  const quoted = [`"${name}"`, `${name}:`].some((text) => source.includes(text));
  return read || quoted || foreign[name] !== undefined || installer.includes(name);
}

function exists(path: string): boolean {
  return new Bun.Glob(path.endsWith("/") ? `${path}**` : path).scanSync({ dot: true }).next().done !== true;
}

test.each([
  ["dewy check --slot blue | head -1", ["dewy", "check", "--slot", "blue"]],
  ["dewy server -- sh -c 'exec x > y' > log 2>&1 &", ["dewy", "server", "--", "sh", "-c", "exec x > y"]],
  ["dewy assets --once 2>&1 || true", ["dewy", "assets", "--once"]],
  ["dewy status   # its pid", ["dewy", "status"]],
  [`dewy hold --reason 'a "b"' --until ""`, ["dewy", "hold", "--reason", 'a "b"', "--until", ""]],
])("the words of %s", (line, words) => {
  expect(wordsOf(line)).toEqual(words);
});
