import { httpBody, readText } from "../../http/body.ts";
import { silentError } from "../../http/error.ts";
import { isRedirect } from "../../http/redirect.ts";
import { limitMs } from "../../http/status.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import { connectionError, notSlack } from "./error.ts";

const quietMs = 30_000;
const maxAnswerBytes = 1024 * 1024;

/** What the Slack library asks its `fetch` for, in the parts that matter here. */
interface LibraryRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | FormData;
}

/**
 * A `fetch` for the Slack library that ends with the caller's signal, or when nothing comes for 30 s: the library's own
 * timeout covers no answer's body. Bun's fetch honours HTTPS_PROXY, HTTP_PROXY, NO_PROXY and SSL_CERT_FILE by itself.
 * The answer is whole when it is given out. Redirects are refused, wherever to: the token goes nowhere else.
 */
export function slackFetch(clock: Clock, doing: string, c: Call) {
  return async (address: string | URL, init: LibraryRequest = {}): Promise<Response> => {
    const { host } = new URL(address);
    const watchdog = new Watchdog(clock, quietMs, () => silentError(doing, host, quietMs));
    const explain = (error: unknown): unknown =>
      watchdog.signal.aborted ? watchdog.signal.reason : connectionError(error, doing, host);
    watchdog.wait();
    let response: Response;
    try {
      response = await fetch(address, {
        method: init.method ?? "POST",
        headers: { ...init.headers, "Accept-Encoding": "identity" },
        ...(init.body === undefined ? {} : { body: init.body }),
        redirect: "manual",
        // Messages are far between: a connection kept for the next one would be dead by then.
        keepalive: false,
        signal: AbortSignal.any([c.signal, watchdog.signal]),
      });
    } catch (error) {
      watchdog.stop();
      throw explain(error);
    }
    const body = httpBody(response, { watchdog, explain });
    if (isRedirect(response.status)) {
      await body.discard();
      throw notSlack({ doing, host }, `a redirect (status ${response.status}), which is not followed`);
    }
    return answered(response, await readText(body, maxAnswerBytes, doing), clock);
  };
}

/** With only those headers that say how long to wait, in the only form that the library reads. */
function answered({ status, headers }: Response, text: string, clock: Clock): Response {
  const waitMs = limitMs({ status, headers, said: "" }, clock.now());
  const kept = waitMs === null ? {} : { "Retry-After": String(Math.ceil(waitMs / 1000)) };
  const bodyless = status === 204 || status === 205 || status === 304;
  return new Response(bodyless ? null : text, { status, headers: kept });
}
