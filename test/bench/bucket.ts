/**
 * What a poll of a large bucket costs: 5,000 versions on MinIO, the first tick and the ones after it, beside a full
 * listing. `bun test/bench/bucket.ts [versions]`
 */
import { openBucket } from "../../src/registry/bucket/registry.ts";
import { TagSearch } from "../../src/registry/bucket/search.ts";
import { thisPlatform } from "../../src/release/platform.ts";
import type { SelectPolicy } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { methodsOf } from "../registry/bucket-fixture.ts";
import { counting } from "../registry/bucket-store.ts";
import { putAll } from "../store/contract-support.ts";
import { openAt, urlOf } from "../store/s3-fixture.ts";
import { memoryKiB } from "../support/memory.ts";
import { type Minio, startMinio } from "../support/minio.ts";

const c = { signal: new AbortController().signal };
const policy: SelectPolicy = { scheme: semverScheme(null), preRelease: false, slot: null };
const [first = "5000", url] = process.argv.slice(2);

if (url === undefined) await upload(Number(first));
else await measure(url);

/** In a process of its own, whose memory held no uploads. */
async function upload(versions: number): Promise<void> {
  await using minio = await startMinio();
  await minio.createBucket("releases");
  const bucketUrl = urlOf(minio, "releases");
  const keys = Array.from({ length: versions }, (_, index) => `${versionOf(index)}/app_linux_amd64.tar.gz`);
  const began = performance.now();
  {
    await using store = openAt(bucketUrl, minio.env);
    await putAll(store, keys, 64);
  }
  console.log(`${versions} versions uploaded in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  await measured(minio, bucketUrl);
}

async function measured(minio: Minio, bucketUrl: string): Promise<void> {
  const child = Bun.spawn([process.execPath, import.meta.path, "measure", bucketUrl], {
    env: { ...process.env, ...minio.env },
    stdout: "inherit",
    stderr: "inherit",
  });
  await child.exited;
}

async function measure(bucketUrl: string): Promise<void> {
  const { store, counts, reset } = counting(methodsOf(openAt(bucketUrl, process.env)));
  const { registry } = openBucket(store, { policy, platform: thisPlatform(), artifact: null });
  const search = new TagSearch(store, policy, { pageEntries: 1000, treePages: 0, forgetAfter: 1e9 });
  // The connection, and whatever the library loads with its first request.
  await registry.find("v0.0.1", c);
  const idleKiB = memoryKiB(process.pid, "VmRSS");
  const tick = async (name: string, work: () => Promise<string | undefined>) => {
    reset();
    const began = performance.now();
    const usedBefore = process.cpuUsage();
    const tag = await work();
    const used = process.cpuUsage(usedBefore);
    const cpuMs = ((used.user + used.system) / 1000).toFixed(0);
    const ms = (performance.now() - began).toFixed(0);
    const peakMiB = ((memoryKiB(process.pid, "VmHWM") - idleKiB) / 1024).toFixed(1);
    const { lists, entries, heads } = counts;
    console.log(
      `${name}: ${tag}, ${lists} list pages (${entries} entries), ${heads} heads, ${ms} ms, ${cpuMs} ms CPU, peak +${peakMiB} MiB`,
    );
  };
  const latest = async () => (await registry.latest(c)).release?.tag;
  await tick("first tick", latest);
  for (const name of ["second tick", "third tick"]) await tick(name, latest);
  for (let index = 0; index < 40; index++) await latest();
  await tick("44th tick", latest);
  const pages = async () => (await search.newest(null, c)).chosen[0]?.tag;
  for (const name of ["tags page by page", "the same again"]) await tick(name, pages);
  await registry[Symbol.asyncDispose]();
}

/** 50 patches a minor version, 20 of these a major one. */
function versionOf(index: number): string {
  return `v${1 + Math.floor(index / 1000)}.${Math.floor(index / 50) % 20}.${index % 50}`;
}
