import { HttpClient } from "../../src/http/client.ts";
import { silentLog } from "../../src/log.ts";
import { httpsSource } from "../../src/registry/https-source.ts";
import type { ResumePoint } from "../../src/release/source.ts";
import { systemClock } from "../../src/util/time.ts";

/** What a process of its own is told to fetch, as fetch reads SSL_CERT_FILE at the start of a process only. */
export interface Order {
  readonly url: string;
  readonly resume: ResumePoint | null;
}

export interface Fetched {
  readonly text?: string;
  readonly offset?: number;
  readonly totalBytes?: number | null;
  readonly validator?: string | null;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}

if (import.meta.main) {
  const order: Order = JSON.parse(process.argv[2] ?? "");
  process.stdout.write(JSON.stringify(await fetched(order)));
}

export async function fetched({ url, resume }: Order): Promise<Fetched> {
  const http = new HttpClient({ clock: systemClock, log: silentLog, userAgent: "dewy/0" });
  const file = { name: "app.zip", url, sizeBytes: null, digest: null, revision: null };
  try {
    const c = { signal: AbortSignal.timeout(40_000) };
    const { chunks, offset, totalBytes, validator } = await httpsSource(http).open(file, resume, c);
    const text = Buffer.concat(await Array.fromAsync(chunks)).toString();
    return { text, offset, totalBytes, validator };
  } catch (error) {
    return error instanceof Error ? { ...error, message: error.message } : { message: String(error) };
  }
}
