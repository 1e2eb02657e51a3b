import { DewyError, systemCode } from "../../errors.ts";

/** What became of a message that Slack did not take. */
export type Refusal =
  /** `ok: false` (https://docs.slack.dev/reference/methods/chat.postMessage#errors). */
  | {
      readonly kind: "refused";
      readonly code: string;
      /** The scope that is missing; empty: not said. */
      readonly needed: string;
      /** What was wrong with the message, in Slack's words; empty: not said. */
      readonly detail: string;
    }
  | { readonly kind: "limited"; readonly afterMs: number }
  | { readonly kind: "status"; readonly status: number; readonly headers: Headers }
  /** Something that Slack never says, or no JSON object: another server, or a proxy. */
  | { readonly kind: "not-slack" }
  /** No answer; `cause` is what the connection said. */
  | { readonly kind: "no-answer"; readonly cause: unknown };

/** Where Slack limits with `ok: false` it names no time; a channel takes about a message a second. */
const unnamedLimitMs = 30_000;
const limitCodes: ReadonlySet<string> = new Set(["ratelimited", "rate_limited"]);

/** What the Slack library throws, told apart by its `code`; the library's own words may hold a whole page. */
export function refusalOf(error: unknown): Refusal {
  const fields = recordOf(error) ?? {};
  switch (systemCode(error)) {
    case "slack_webapi_platform_error":
      return platformRefusal(recordOf(fields["data"]) ?? {});
    case "slack_webapi_rate_limited_error":
      return { kind: "limited", afterMs: secondsToMs(fields["retryAfter"]) ?? unnamedLimitMs };
    case "slack_webapi_http_error": {
      const status = typeof fields["statusCode"] === "number" ? fields["statusCode"] : 0;
      return { kind: "status", status, headers: headersOf(fields["headers"]) };
    }
    case "slack_webapi_request_error":
      return { kind: "no-answer", cause: fields["original"] };
    default:
      // The library looks for fields in whatever JSON it got, `null` too.
      return error instanceof TypeError ? { kind: "not-slack" } : { kind: "no-answer", cause: error };
  }
}

/** What a second try could leave out: the thread that is not there, or blocks that Slack can't read. */
export function refusedPart(refusal: Refusal): "thread" | "blocks" | null {
  if (refusal.kind !== "refused") return null;
  if (threadCodes.has(refusal.code)) return "thread";
  return blockCodes.has(refusal.code) ? "blocks" : null;
}

const threadCodes: ReadonlySet<string> = new Set([
  "thread_not_found",
  "cannot_reply_to_message",
  "invalid_thread_ts",
  "restricted_action_non_threadable_channel",
]);

const blockCodes: ReadonlySet<string> = new Set([
  "invalid_blocks",
  "invalid_blocks_format",
  "invalid_attachments",
  "msg_blocks_too_long",
  "attachment_payload_limit_exceeded",
  "too_many_attachments",
]);

function platformRefusal(data: Readonly<Record<string, unknown>>): Refusal {
  const { error, needed, response_metadata: metadata } = data;
  // The library makes an "error" of any answer that is no JSON.
  if (typeof error !== "string" || !/^[a-z][a-z0-9_]{0,79}$/.test(error)) return { kind: "not-slack" };
  const { retryAfter, messages } = recordOf(metadata) ?? {};
  if (limitCodes.has(error)) return { kind: "limited", afterMs: secondsToMs(retryAfter) ?? unnamedLimitMs };
  const detail: unknown = Array.isArray(messages) ? messages[0] : "";
  return {
    kind: "refused",
    code: error,
    needed: typeof needed === "string" && /^[a-z0-9:._, -]{1,200}$/.test(needed) ? needed : "",
    detail: typeof detail === "string" ? detail.replace(/^\[ERROR\]\s*/, "") : "",
  };
}

function secondsToMs(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? Math.max(0, value) * 1000 : null;
}

function headersOf(value: unknown): Headers {
  const headers = new Headers();
  for (const [name, text] of Object.entries(recordOf(value) ?? {})) {
    if (typeof text === "string") headers.set(name, text);
  }
  return headers;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | null {
  // Its fields are read as unknown.
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
}

/** A failure that was already a DewyError where it arose. */
export function ownError(refusal: Refusal): DewyError | null {
  return refusal.kind === "no-answer" && refusal.cause instanceof DewyError ? refusal.cause : null;
}
