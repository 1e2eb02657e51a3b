import { DewyError } from "../../errors.ts";
import type { HttpClient } from "../../http/client.ts";
import { withWait } from "../../http/error.ts";
import { limitMs, statusError } from "../../http/status.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Notice } from "../notice.ts";
import { MessageRefused, type Notifier } from "../notifier.ts";
import { webhookBody } from "./body.ts";
import { signatureOf } from "./signature.ts";
import type { WebhookOptions } from "./url.ts";

/** Those who call web hooks wait for ten seconds or so, and receivers are made for that. */
const deadlineMs = 30_000;

export interface WebhookDeps {
  readonly http: HttpClient;
  readonly clock: Clock;
}

/** Judged here: the HTTP client adds the receiver's own words, which may hold the URL that was asked for. */
const unhappy = Array.from({ length: 300 }, (_, index) => 300 + index);

/**
 * A POST for every notice, signed where there is a key. Any 2xx is a delivery. Redirects are followed within the
 * receiver's origin only, and only those that keep the POST (307, 308).
 */
export function openWebhook(options: WebhookOptions, deps: WebhookDeps): Notifier {
  return {
    name: options.name,
    identity: `webhook+${options.url}`,
    deadlineMs,
    notify: (notice, c) => post(notice, options, deps, c),
    async [Symbol.asyncDispose]() {
      // The HTTP client is not ours.
    },
  };
}

async function post(notice: Notice, options: WebhookOptions, deps: WebhookDeps, c: Call): Promise<void> {
  const { url, host, format, key } = options;
  const { http, clock } = deps;
  const doing = `call the web hook on ${host}`;
  const body = webhookBody(notice, format);
  const signature = key === null ? {} : { "X-Dewy-Signature": signatureOf(body, key, clock.now()) };
  const answer = await http
    .request(
      {
        url,
        method: "POST",
        headers: { "Content-Type": "application/json; charset=utf-8", "X-Dewy-Id": notice.id, ...signature },
        body,
        doing,
        accept: unhappy,
      },
      c,
    )
    .catch((error: unknown) => {
      throw withUrlHint(error);
    });
  const { status, headers } = answer;
  await answer.body.discard();
  if (status < 300) return;
  const line = { status, headers, said: "" };
  const error = statusError(line, limitMs(line, clock.now()), doing, host);
  if (aboutMessage.has(status)) throw new MessageRefused(error.code, error.message, hintOf(status, key));
  throw withWait(explained(error, status, options), http.governor.waitMs(new URL(url).origin));
}

/** The receiver read this message and does not want it: no JSON to its liking, or too long. */
const aboutMessage: ReadonlySet<number> = new Set([400, 413, 422]);

/** With what to do. Of the 4xx only a time-out (408) and a limit (429) pass by themselves. */
function explained(error: DewyError, status: number, { key }: WebhookOptions): DewyError {
  const { code, message, retryAfterMs } = error;
  const retryable = status >= 500 || status === 408 || code === "rate-limited";
  return new DewyError(code, message, { hint: hintOf(status, key), retryable, retryAfterMs });
}

/** A redirect elsewhere, or no HTTP at all. */
function withUrlHint(error: unknown): unknown {
  if (!(error instanceof DewyError) || error.code !== "bad-answer") return error;
  const { code, message, retryable, retryAfterMs } = error;
  const hint = "write the URL as the receiver gives it out: its scheme, host and port";
  return new DewyError(code, message, { hint, retryable, retryAfterMs });
}

function hintOf(status: number, key: string | null): string | undefined {
  if (status === 401 || status === 403) {
    return key === null
      ? "check the web hook's URL; if the receiver wants signatures, set DEWY_WEBHOOK_SECRET"
      : "check the web hook's URL, and that DEWY_WEBHOOK_SECRET is the receiver's";
  }
  if (status === 404) return "check the web hook's URL";
  if (status === 410) return "the web hook was removed: make a new one, or remove the notifier";
  if (status === 405) return "check the web hook's URL: what is there takes no POST";
  if (status === 407)
    return "put the proxy's user and password into HTTPS_PROXY: http://user:password@host:port";
  if (status === 400 || status === 415 || status === 422) {
    return "check format=: json, slack (Mattermost too), discord or teams";
  }
  return undefined;
}
