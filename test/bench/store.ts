import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startGcs } from "../support/gcs-server.ts";
import { startMinio } from "../support/minio.ts";
import { tempDir } from "../support/temp-dir.ts";

/**
 * What a large file costs on its way to an object store and back: time, and the peak of resident memory of a compiled
 * process that does nothing else. `bun test/bench/store.ts [rounds] [store…]`; the file has 300 MB.
 */
interface Store {
  readonly name: string;
  /** Above this the target is missed. */
  readonly targetMiB: Readonly<Record<"put" | "fetch", number>>;
  start(): Promise<
    AsyncDisposable & { readonly url: string; readonly env: Readonly<Record<string, string>> }
  >;
}

const stores: readonly Store[] = [
  {
    name: "S3 (MinIO)",
    targetMiB: { put: 130, fetch: 130 },
    async start() {
      const minio = await startMinio();
      await minio.createBucket("bench");
      const url = `s3://${minio.region}/bench/app?endpoint=${minio.endpoint}`;
      return { url, env: minio.env, [Symbol.asyncDispose]: () => minio[Symbol.asyncDispose]() };
    },
  },
  {
    name: "Google Cloud Storage (fake-gcs-server)",
    targetMiB: { put: 200, fetch: 130 },
    async start() {
      const gcs = await startGcs();
      await gcs.createBucket("bench");
      return { url: "gs://bench/app", env: gcs.env, [Symbol.asyncDispose]: () => gcs[Symbol.asyncDispose]() };
    },
  },
];

const megabytes = 300;

interface Figures {
  readonly ms: number;
  readonly beforeMiB: number;
  readonly peakMiB: number;
}

async function main(): Promise<void> {
  const [rounds = "3", ...names] = process.argv.slice(2);
  using dir = tempDir();
  const binary = await compile(dir.path);
  const path = join(dir.path, "file");
  const digest = makeFile(path);
  for (const store of stores) {
    if (names.length > 0 && !names.some((name) => store.name.includes(name))) continue;
    await using server = await store.start();
    const env = { PATH: process.env["PATH"], ...server.env };
    const run = (...args: string[]): Figures => {
      const { success, stdout, stderr } = Bun.spawnSync([binary, ...args], { env, stderr: "pipe" });
      if (!success) throw new Error(stderr.toString());
      return JSON.parse(stdout.toString());
    };
    const rows: { put: Figures[]; fetch: Figures[] } = { put: [], fetch: [] };
    for (let round = 0; round < Number(rounds); round++) {
      rows.put.push(run("put", server.url, path, digest));
      const out = join(dir.path, "out");
      rows.fetch.push(run("fetch", server.url, out, digest));
      rmSync(out);
    }
    for (const what of ["put", "fetch"] as const)
      report(`${store.name} ${what}`, rows[what], store.targetMiB[what]);
  }
}

function report(label: string, figures: readonly Figures[], targetMiB: number): void {
  const of = (name: keyof Figures) => figures.map((each) => each[name]).toSorted((a, b) => a - b);
  const ms = of("ms");
  const peak = Math.max(...of("peakMiB"));
  const verdict = peak <= targetMiB ? "met" : "MISSED";
  console.log(
    `${label}: ${(ms[ms.length >> 1] ?? 0).toFixed(0)} ms (median of ${ms.length}), peak ${peak.toFixed(0)} MiB (${Math.max(...of("beforeMiB")).toFixed(0)} before; target ${targetMiB}: ${verdict})`,
  );
}

async function compile(directory: string): Promise<string> {
  const outfile = join(directory, "store-child");
  const entry = join(import.meta.dir, "store-child.ts");
  const flags = ["--compile", "--minify", "--bytecode", "--format=cjs"];
  const { success, stderr } = Bun.spawnSync([
    process.execPath,
    "build",
    ...flags,
    entry,
    "--outfile",
    outfile,
  ]);
  if (!success) throw new Error(stderr.toString());
  return outfile;
}

/** No two blocks alike. */
function makeFile(path: string): string {
  const content = Buffer.alloc(megabytes * 1_000_000);
  for (let at = 0; at + 4 <= content.length; at += 512)
    content.writeUInt32BE(Math.imul(at + 1, 2_654_435_761) >>> 0, at);
  writeFileSync(path, content);
  return `sha256:${Bun.SHA256.hash(content, "hex")}`;
}

await main();
process.exit();
