/** Runs the checks side by side and adds up what they counted; ./scripts/test does the set-up before. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Glob } from "bun";

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  /** Without one the exit code is a single test. */
  readonly count?: (output: string) => Counts;
}

const files = [...new Glob("test/**/*.test.ts").scanSync(".")].sort();
/** Each check's own; what none of them names is unit and contract. */
const places = {
  containers: /^test\/((e2e\/)?(container|replicas)\/|packaging\/image)/,
  clouds: /^test\/e2e\/cloud\//,
  pages: /^test\/docs\//,
  endToEnd: /^test\/e2e\/(?!container\/|cloud\/)/,
};
const filesAt = (place: RegExp) => files.filter((file) => place.test(file));
const others = files.filter((file) => !Object.values(places).some((place) => place.test(file)));

/** The second lane waits for agents and their servers most of its time, the third for engines; the first one computes. */
const lanes: readonly (readonly Check[])[] = [
  [
    { name: "types", command: ["bun", "run", "--silent", "check"] },
    { name: "lint", command: ["bun", "run", "--silent", "lint"] },
    {
      name: "unit and contract",
      command: bunTest(others),
      count: summary,
    },
  ],
  [
    { name: "end to end", command: bunTest(filesAt(places.endToEnd)), count: summary },
    { name: "pages", command: bunTest(filesAt(places.pages)), count: summary },
    {
      name: "clouds",
      // Those that mostly wait run side by side; more would make the others late.
      command: bunTest(filesAt(places.clouds), "--max-concurrency=4"),
      count: summary,
    },
  ],
  [
    {
      name: "containers",
      command: bunTest(filesAt(places.containers)),
      count: summary,
    },
  ],
];

/** bun's own limit of 5 s for a test is none of ours: a busy machine takes longer. */
function bunTest(paths: readonly string[], ...options: readonly string[]): string[] {
  return ["bun", "test", "--timeout=120000", ...options, ...paths.map((path) => `./${path}`)];
}

/** The lines `bun test` ends with: ` 12 pass`, ` 1 skip`, ` 0 fail`. */
function summary(output: string): Counts {
  const number = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
  return { passed: number("pass"), failed: number("fail"), skipped: number("skip") + number("todo") };
}

async function run({ name, command, count }: Check): Promise<Counts> {
  const startedMs = performance.now();
  // A file, not a pipe: what a failed test has left running would keep that open.
  const path = join(directory, name);
  const log = openSync(path, "w");
  const child = Bun.spawn([...command], {
    stdio: ["ignore", log, log],
    env: { ...process.env, FORCE_COLOR: "0" },
  });
  closeSync(log);
  const code = await child.exited;
  const output = readFileSync(path, "utf8");
  const counted = count?.(output) ?? { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  // A runner that ended badly without counting a failure (a crash, no test found) is one.
  const crashed = code !== 0 && counted.failed === 0;
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  console.log(`--- ${name}: ${code === 0 ? "ok" : "FAILED"} in ${seconds} s`);
  console.log(output.replace(/^\(pass\).*\n/gm, "").trim());
  return crashed ? { ...counted, failed: 1 } : counted;
}

async function runLane(checks: readonly Check[]): Promise<Counts[]> {
  const counts: Counts[] = [];
  for (const check of checks) counts.push(await run(check));
  return counts;
}

const directory = mkdtempSync(join(tmpdir(), "dewy-run-"));
const all = (await Promise.all(lanes.map(runLane))).flat();
rmSync(directory, { recursive: true });
const total = (key: keyof Counts) => all.reduce((sum, counts) => sum + counts[key], 0);
const skipped = total("skipped");
const skipsFail = process.env["CI"] === "true";
if (skipped > 0) console.log(`${skipped} tests were skipped${skipsFail ? ", which is a failure in CI" : ""}`);
const failed = total("failed") + (skipsFail ? skipped : 0);
const shownSkips = skipsFail || skipped === 0 ? "" : `, ${skipped} skipped`;
console.log(`${total("passed")} passed, ${failed} failed${shownSkips}`);
process.exit(failed === 0 ? 0 : 1);
