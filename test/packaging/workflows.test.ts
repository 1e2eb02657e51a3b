import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../support/temp-dir.ts";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Job {
  readonly uses?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly steps?: readonly Step[];
  readonly needs?: string;
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly concurrency: { readonly group: string };
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

test("none waits for its own caller", () => {
  // GitHub cancels what does; it compares without regard to case, and `github.workflow` is the caller's.
  const groups = workflows.map(([name, { concurrency }]) => ({
    name,
    prefix: concurrency.group.split("${{")[0]?.toLowerCase() ?? "",
  }));
  for (const { name, prefix } of groups) {
    expect(prefix).toMatch(/^\w+-$/);
    expect(groups.filter((group) => group.prefix.startsWith(prefix)).map((group) => group.name)).toEqual([
      name,
    ]);
  }
});

test("only the step that signs knows what it signs with", () => {
  const secret = /secrets\.\w+\b(?! != '')/;
  for (const [, workflow] of workflows)
    for (const { env, steps } of Object.values(workflow.jobs)) {
      expect(Object.values(env ?? {}).filter((value) => secret.test(value))).toEqual([]);
      for (const step of steps ?? [])
        if (secret.test(JSON.stringify(step))) expect(step.name).toStartWith("Sign the checksums");
    }
});

test("only what was tested is published", () => {
  const release = workflows.find(([name]) => name === "release.yml")?.[1];
  const { test: tested, ...others } = release?.jobs ?? {};
  expect(tested?.uses).toBe("./.github/workflows/ci.yml");
  expect(Object.entries(others).map(([name, { needs }]) => [name, needs])).toEqual([
    ["files", "test"],
    ["image", "files"], // which says whether the image is the latest, too
  ]);
  expect(JSON.stringify(others["image"])).toMatch(/latest=\$\{\{ needs\.files\.outputs\.latest \}\}/);
  for (const job of Object.values(others)) {
    const runs = (job.steps ?? []).map(({ run }) => run ?? "");
    expect(runs.some((run) => run.includes("sha256sum --check --strict SHA256SUMS"))).toBe(true);
    expect(runs.filter((run) => run.includes("scripts/build"))).toEqual([]);
  }
});

describe("a release is published", () => {
  const publish = workflows.flatMap(([, flow]) => stepsOf(flow)).find(({ name }) => name === "Publish");

  /** What gh and the next job are told; `there` are the releases before, `earlier` is what it says of one of the same tag. */
  async function publishing(tag: string, there: readonly string[], earlier = "") {
    using directory = tempDir();
    const [bin, dist] = [join(directory.path, "bin"), join(directory.path, "dist")];
    for (const path of [bin, dist]) mkdirSync(path);
    const gh = `#!/bin/sh
case "$1 $2" in
  "release view") [ -n "${earlier}" ] || exit 1; echo "${earlier}" ;;
  "release list") printf '%s\\n' ${there.join(" ")} ;;
  *) echo "$*" >>"${directory.path}/told" ;;
esac
`;
    writeFileSync(join(bin, "gh"), gh, { mode: 0o755 });
    writeFileSync(join(dist, "SHA256SUMS"), "");
    const run = Bun.spawn(["bash", "-e", "-c", publish?.run ?? "exit 9"], {
      cwd: dist,
      env: {
        PATH: `${bin}:${process.env["PATH"]}`,
        GITHUB_REF_NAME: tag,
        GITHUB_OUTPUT: join(directory.path, "output"),
      },
    });
    expect(await run.exited).toBe(0);
    const lines = (name: string) => readFileSync(join(directory.path, name), "utf8").trimEnd().split("\n");
    return { told: lines("told"), output: lines("output") };
  }

  test.each<[string, readonly string[], string]>([
    ["v1.0.0", [], "--latest=true"],
    ["v2.0.0", ["v1.4.8", "v1.10.0"], "--latest=true"],
    ["v1.10.0", ["v1.9.0"], "--latest=true"],
    ["v1.4.9", ["v2.0.0", "v1.4.8"], "--latest=false"],
    ["v1.9.0", ["v1.10.0"], "--latest=false"],
    ["v3.0.0-rc.1", ["v2.0.0"], "--latest=false --prerelease"],
    ["v3.0.0-rc.1", [], "--latest=false --prerelease"],
  ])("%s after %j: %s", async (tag, there, kind) => {
    expect(await publishing(tag, there)).toEqual({
      told: [
        `release create ${tag} --verify-tag --draft --generate-notes ${kind} SHA256SUMS`,
        `release edit ${tag} --draft=false ${kind}`,
      ],
      output: [kind.split(" ")[0]?.slice(2) ?? ""],
    });
  });

  test("in the place of a draft that a run before left, but not of one that is out", async () => {
    expect((await publishing("v1.0.0", [], "true")).told[0]).toBe("release delete v1.0.0 --yes");
    expect((await publishing("v1.0.0", ["v1.0.0"], "false")).told[0]).toStartWith("release create v1.0.0");
  });
});
