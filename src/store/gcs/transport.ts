import { DewyError } from "../../errors.ts";
import { type HttpBody, httpBody, readText } from "../../http/body.ts";
import { networkError, silentError } from "../../http/error.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { build } from "../../version.ts";
import { answerError, type GcsTask } from "./error.ts";

export interface GcsRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  /** Statuses besides 2xx that the caller handles itself. */
  readonly accept?: readonly number[];
  /** The stored bytes as they are: nothing is decompressed. */
  readonly raw?: boolean;
}

export interface GcsReply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: HttpBody;
}

export const userAgent = `dewy/${build.version}`;
/** Nothing for so long is a dead connection. */
const quietMs = 30_000;
/** Slower than this, an upload is as good as silent. */
export const leastBytesPerMs = 32;
const maxErrorBytes = 64 * 1024;

/**
 * One request over Bun's fetch, which honours HTTPS_PROXY, HTTP_PROXY, NO_PROXY, SSL_CERT_FILE and
 * NODE_EXTRA_CA_CERTS by itself, keeps connections, and ends them when `c` ends; Google's own transport does neither
 * of the last two under a deadline of ours. No retries, no redirects. Everything but success is a DewyError.
 */
export async function send(request: GcsRequest, task: GcsTask, clock: Clock, c: Call): Promise<GcsReply> {
  c.signal.throwIfAborted();
  const { host } = request.url;
  const headMs = quietMs + Math.ceil((request.body?.byteLength ?? 0) / leastBytesPerMs);
  const head = new Watchdog(clock, headMs, () => silentError(task.doing, host, headMs));
  const quiet = new Watchdog(clock, quietMs, () => silentError(task.doing, host, quietMs));
  const explain = (error: unknown): unknown => {
    if (c.signal.aborted) return c.signal.reason;
    const watchdog = [head, quiet].find(({ signal }) => signal.aborted);
    return watchdog?.signal.reason ?? networkError(error, task.doing, host);
  };
  if (!request.headers.has("user-agent")) request.headers.set("User-Agent", userAgent);
  head.wait();
  try {
    const response = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      redirect: "manual",
      decompress: request.raw !== true,
      signal: AbortSignal.any([c.signal, head.signal, quiet.signal]),
    });
    const { status, headers } = response;
    const body = httpBody(response, { watchdog: quiet, explain });
    if (response.ok || request.accept?.includes(status) === true) return { status, headers, body };
    const text = await beginning(body);
    throw answerError({ status, headers, text }, task, clock.now());
  } catch (error) {
    quiet.stop();
    throw error instanceof DewyError ? error : explain(error);
  } finally {
    head.stop();
  }
}

/** An error's body that can't be read leaves the status, which says enough. */
async function beginning(body: HttpBody): Promise<string> {
  try {
    return await readText(body, maxErrorBytes, "");
  } catch {
    return "";
  }
}
