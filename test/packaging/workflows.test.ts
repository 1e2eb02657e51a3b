import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

interface Job {
  readonly uses?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps?: readonly Step[];
  readonly needs?: string;
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const directory = ".github/workflows";
const workflows = readdirSync(directory).map((name): [string, Workflow] => [
  name,
  Bun.YAML.parse(readFileSync(join(directory, name), "utf8")) as Workflow,
]);
const stepsOf = ({ jobs }: Workflow) => Object.values(jobs).flatMap(({ steps }) => steps ?? []);

describe.each(workflows)("%s", (_, workflow) => {
  test("may only read, where a job does not say otherwise", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
  });

  test("names files that are there", () => {
    const used = Object.values(workflow.jobs).flatMap(({ uses }) => uses ?? []);
    const ran = stepsOf(workflow).flatMap(({ run }) => [...(run ?? "").matchAll(/(?:^|\s)(\.\/\S+)/g)]);
    const paths = [...used, ...ran.map((match) => match[1] ?? "")];
    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
  });

  test("names a version of each action, and takes them from their makers", () => {
    const makers = /^(actions|docker)\/[\w-]+@(v\d+|[0-9a-f]{40})$/;
    const actions = stepsOf(workflow).flatMap(({ uses }) => uses ?? []);
    expect(actions.filter((action) => !makers.test(action))).toEqual([]);
  });

  test("puts nothing into a script that somebody else may have written", () => {
    expect(stepsOf(workflow).filter(({ run }) => run?.includes("${{"))).toEqual([]);
  });
});

test("only what was tested is published", () => {
  const release = workflows.find(([name]) => name === "release.yml")?.[1];
  const { test: tested, ...others } = release?.jobs ?? {};
  expect(tested?.uses).toBe("./.github/workflows/ci.yml");
  expect(Object.values(others).map(({ needs }) => needs)).toEqual(["test", "test"]);
  for (const job of Object.values(others)) {
    const runs = (job.steps ?? []).map(({ run }) => run ?? "");
    expect(runs.some((run) => run.includes("sha256sum --check --strict SHA256SUMS"))).toBe(true);
    expect(runs.filter((run) => run.includes("scripts/build"))).toEqual([]);
  }
});
