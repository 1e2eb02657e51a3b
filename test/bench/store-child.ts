import { HttpClient } from "../../src/http/client.ts";
import { silentLog } from "../../src/log.ts";
import type { Digest } from "../../src/release/release.ts";
import type { ObjectStore, StoreDeps } from "../../src/store/store.ts";
import { readQuery } from "../../src/util/query.ts";
import { systemClock } from "../../src/util/time.ts";
import { memoryKiB } from "../support/memory.ts";

/**
 * What test/bench/store.ts measures, in a process of its own: `idle` (the store is open and was asked once), `put` and
 * `fetch`. Prints the milliseconds it took and the peak of its resident memory, in MiB, before and after.
 */
type Opener = (url: URL, deps: StoreDeps) => Promise<ObjectStore>;

const openers: Readonly<Record<string, Opener>> = {
  "s3:": async (url, deps) => {
    const { readS3Url, s3Params } = await import("../../src/store/s3/url.ts");
    const { openS3Store } = await import("../../src/store/s3/store.ts");
    return openS3Store(readS3Url(url, readQuery(url, s3Params)), deps);
  },
  "gs:": async (url, deps) => {
    const { gcsParams, readGcsUrl } = await import("../../src/store/gcs/url.ts");
    const { openGcsStore } = await import("../../src/store/gcs/store.ts");
    return openGcsStore(readGcsUrl(url, readQuery(url, gcsParams)), deps);
  },
};

async function main(): Promise<void> {
  const [what, address = "", path = "", digest = ""] = process.argv.slice(2);
  const url = new URL(address);
  const open = openers[url.protocol];
  if (open === undefined) throw new Error(`no store for ${url.protocol}`);
  const { governor } = new HttpClient({ clock: systemClock, log: silentLog, userAgent: "dewy/bench" });
  const c = { signal: new AbortController().signal };
  await using store = await open(url, { governor, clock: systemClock, log: silentLog, env: process.env });
  await store.head("large", c);
  const beforeMiB = memoryKiB(process.pid, "VmHWM") / 1024;
  const start = performance.now();
  if (what === "put") await store.putFile("large", { path, digest: digest as Digest }, c);
  if (what === "fetch" && (await store.fetchFile("large", path, c)) !== digest)
    throw new Error("not the same");
  const ms = performance.now() - start;
  console.log(JSON.stringify({ ms, beforeMiB, peakMiB: memoryKiB(process.pid, "VmHWM") / 1024 }));
  process.exit();
}

void main();
