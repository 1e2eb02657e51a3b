import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { dewyBinary } from "../support/dewy.ts";

/**
 * What a whole deploy costs: `dewy assets --once` on a directory registry (copy, SHA-256, cache, extraction, state,
 * report; all on disk at its end) against `cp` of the archive, `tar x` and `sync -f`.
 * `bun test/bench/deploy.ts [rounds] [name…]`; runs alternate, medians are shown. Needs 1 GB a round below the
 * temporary directory, and removes it only at the end, because deleting a tree slows the next writes.
 */
interface Release {
  readonly name: string;
  readonly compress: string;
  readonly suffix: string;
  readonly files: number;
  readonly fileBytes: number;
  /** Ours over theirs. */
  readonly target: number;
}

const releases: readonly Release[] = [
  { name: "300 MB", compress: "gzip", suffix: ".tar.gz", files: 300, fileBytes: 1e6, target: 0.8 },
  { name: "20,000 files", compress: "gzip", suffix: ".tar.gz", files: 20_000, fileBytes: 2000, target: 1.3 },
  { name: "100 MB xz", compress: "xz -T2 -3", suffix: ".tar.xz", files: 100, fileBytes: 1e6, target: 2 },
  { name: "100 MB bz2", compress: "bzip2", suffix: ".tar.bz2", files: 100, fileBytes: 1e6, target: 3.5 },
];

/** Half words, half bytes that can't be compressed; the same every time. */
function content(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed + 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
  const half = Math.floor(length / 2);
  for (let at = 0; at < half; at += 1) bytes[at] = next();
  for (let at = half; at < length; ) at += bytes.write(`${words[next() % words.length]} `, at);
  return bytes;
}

const words = Array.from({ length: 3000 }, (_, n) => ((n + 7) ** 4).toString(36).slice(0, 3 + (n % 6)));

function make(base: string, release: Release): string {
  const root = join(base, "source");
  for (let n = 0; n < release.files; n += 1) {
    const path = join(root, `d${n % 50}`, `sub${n % 7}`, `file${n}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content(release.fileBytes, n));
  }
  mkdirSync(join(base, "registry/v1.0.0"), { recursive: true });
  const archive = join(base, `registry/v1.0.0/app${release.suffix}`);
  shell(`tar -C '${root}' -cf - . | ${release.compress} > '${archive}'`);
  rmSync(root, { recursive: true });
  return archive;
}

function shell(command: string): string {
  const result = Bun.spawnSync(["/bin/sh", "-c", command], { stderr: "inherit" });
  if (!result.success) throw new Error(`failed: ${command}`);
  return result.stdout.toString();
}

function ours(archive: string, registry: string, root: string): { ms: number; peakBytes: number } {
  const flags = ["--root", root, "--registry", `file://${registry}?artifact=${basename(archive)}`, "--once"];
  const start = performance.now();
  const { success, stderr, resourceUsage } = Bun.spawnSync([dewyBinary, "assets", ...flags]);
  const ms = performance.now() - start;
  if (!success) throw new Error(stderr.toString());
  return { ms, peakBytes: resourceUsage.maxRSS };
}

function theirs(archive: string, into: string): { ms: number } {
  const copy = join(dirname(into), `copy${Bun.hash(into)}`);
  const start = performance.now();
  shell(`cp '${archive}' '${copy}' && tar -xf '${copy}' -C '${into}' && sync -f '${into}'`);
  const ms = performance.now() - start;
  rmSync(copy);
  return { ms };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function bench(base: string, release: Release, rounds: number): Record<string, string | number> {
  const archive = make(base, release);
  const times = { ours: [] as number[], theirs: [] as number[] };
  let peakBytes = 0;
  for (let round = 0; round < rounds * 2; round += 1) {
    const into = join(base, `into${round}`);
    mkdirSync(into);
    // What earlier runs left to write must not be charged to this one.
    shell(`cat '${archive}' > /dev/null; sync -f '${base}'`);
    if (round % 2 === 0) {
      const run = ours(archive, join(base, "registry"), into);
      times.ours.push(run.ms);
      peakBytes = Math.max(peakBytes, run.peakBytes);
    } else {
      times.theirs.push(theirs(archive, into).ms);
    }
  }
  const ratio = median(times.ours) / median(times.theirs);
  return {
    release: release.name + release.suffix,
    "dewy ms": Math.round(median(times.ours)),
    "cp+tar+sync ms": Math.round(median(times.theirs)),
    "best ms": `${Math.round(Math.min(...times.ours))} / ${Math.round(Math.min(...times.theirs))}`,
    ratio: ratio.toFixed(2),
    target: release.target,
    met: ratio <= release.target ? "yes" : "NO",
    "peak MB": Math.round(peakBytes / 1e6),
  };
}

const [rounds = "7", ...only] = process.argv.slice(2);
const base = mkdtempSync(join(tmpdir(), "dewy-bench-"));
try {
  const chosen = releases.filter(({ name }) => only.length === 0 || only.includes(name));
  const rows = chosen.map((release, index) => {
    const place = join(base, String(index));
    mkdirSync(place);
    return bench(place, release, Number(rounds));
  });
  console.table(rows);
} finally {
  rmSync(base, { recursive: true });
}
