import { writeFileSync } from "node:fs";
import { openChunkedCache } from "../../src/cache/chunked/cache.ts";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import type { Digest } from "../../src/release/release.ts";
import { systemClock } from "../../src/util/time.ts";
import { consulAt, redisAt } from "./cache-clients.ts";
import { memoryKiB } from "./memory.ts";

/** What one process found: `bun cache-child.ts URL put PATH DIGEST`, or `URL fetch PATH`. */
export interface ChildReport {
  readonly digest: string | null;
  readonly error: string | null;
  /** Resident before it began, and at the most while it was under way. */
  readonly beforeKiB: number;
  readonly peakKiB: number;
  readonly ms: number;
}

const c = { signal: new AbortController().signal };

async function main([
  url = "",
  action = "",
  path = "",
  digest = "",
]: readonly string[]): Promise<ChildReport> {
  const kv = url.startsWith("consul") ? consulAt(url) : redisAt(url);
  const limit = { maxFile: null };
  await using cache = openChunkedCache(kv, { clock: systemClock, log: silentLog }, limit);
  let outcome: Pick<ChildReport, "digest" | "error"> = { digest: null, error: null };
  let beforeKiB = 0;
  const begun = performance.now();
  try {
    await cache.get("not there", c);
    Bun.gc(true);
    beforeKiB = memoryKiB(process.pid, "VmRSS");
    // Forgets the peak so far, proc_pid_clear_refs(5).
    writeFileSync("/proc/self/clear_refs", "5");
    // The second word is what digestOfFile answered the parent.
    if (action === "put") await cache.putFile("key", { path, digest: digest as Digest }, c);
    else outcome = { digest: await cache.fetchFile("key", path, c), error: null };
  } catch (error) {
    if (!(error instanceof DewyError)) throw error;
    outcome = { digest: null, error: `${error.code}: ${error.message}; ${error.hint}` };
  }
  const ms = Math.round(performance.now() - begun);
  return { ...outcome, beforeKiB, peakKiB: memoryKiB(process.pid, "VmHWM"), ms };
}

/** Runs it in a process of its own, whose environment has these variables instead of ours of that name. */
export async function inChild(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ChildReport> {
  const child = Bun.spawn([process.execPath, import.meta.path, ...words], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  // What main() below printed.
  return (await new Response(child.stdout).json()) as ChildReport;
}

if (import.meta.main) console.log(JSON.stringify(await main(process.argv.slice(2))));
