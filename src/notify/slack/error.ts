import { DewyError, type ErrorCode, systemCode } from "../../errors.ts";
import { networkError } from "../../http/error.ts";
import { limitMs, statusError } from "../../http/status.ts";
import { MessageRefused } from "../notifier.ts";
import { ownError, type Refusal, refusedPart } from "./answer.ts";

/** What a message was about, for its errors. */
export interface SlackTarget {
  /** `post to Slack's #deploys`; begins every message. */
  readonly doing: string;
  /** `#deploys`, or an ID. */
  readonly channel: string;
  /** `host[:port]` */
  readonly host: string;
  /** What must appear in none of them, whatever a server repeats. */
  readonly token: string;
}

/** Why Slack did not take a message → one line with cause and remedy, without a secret. */
export function slackError(refusal: Refusal, target: SlackTarget, now: Date): DewyError {
  const own = ownError(refusal);
  if (own !== null) return own;
  const { doing, host } = target;
  switch (refusal.kind) {
    case "refused":
      return refused(refusal, target);
    case "limited":
      return new DewyError("rate-limited", `${doing}: ${host} wants fewer messages`, {
        retryAfterMs: refusal.afterMs,
      });
    case "status":
      return wrongStatus(refusal, target, now);
    case "not-slack":
      return notSlack(target, "something that is no JSON answer of Slack");
    case "no-answer":
      return connectionError(refusal.cause, doing, host);
  }
}

/** What fetch threw. */
export function connectionError(error: unknown, doing: string, host: string): DewyError {
  const failure = networkError(error, doing, host);
  if (systemCode(error) !== "ERR_PROXY_TUNNEL") return failure;
  return new DewyError(failure.code, failure.message, {
    hint: `see whether the proxy in HTTPS_PROXY lets ${host} through, and wants another password`,
  });
}

/** An answer that may be a proxy's or a captive portal's for a while, so it is tried again. */
export function notSlack({ doing, host }: Pick<SlackTarget, "doing" | "host">, what: string): DewyError {
  return new DewyError("bad-answer", `${doing}: ${host} answered ${what}`, {
    hint: "check SLACK_API_URL (unset: Slack itself) and any proxy on the way",
  });
}

function wrongStatus(
  refusal: Extract<Refusal, { kind: "status" }>,
  target: SlackTarget,
  now: Date,
): DewyError {
  const { status, headers } = refusal;
  if (status < 400) return notSlack(target, `status ${status}, which is no answer of Slack`);
  const line = { status, headers, said: "" };
  const error = statusError(line, limitMs(line, now), target.doing, target.host);
  const { code, message, retryable, retryAfterMs } = error;
  if (status === 413) return new MessageRefused(code, message, remedyOfLength);
  const hint =
    status === 407
      ? "put the proxy's user and password into HTTPS_PROXY: http://user:password@host:port"
      : status < 500
        ? "check SLACK_API_URL (unset: Slack itself) and any proxy on the way"
        : undefined;
  return new DewyError(code, message, { hint, retryable, retryAfterMs });
}

interface Remedy {
  readonly code: ErrorCode;
  /** What it means. */
  readonly why: string;
  /** What to do. */
  readonly hint: string;
}

type Remedies = (target: SlackTarget, needed: string) => Remedy;

const remedyOfLength = "report this as a bug of dewy, and print less in deploy hooks meanwhile";
const newToken =
  "set SLACK_TOKEN to the app's Bot User OAuth Token (api.slack.com/apps, OAuth & Permissions)";

const badToken =
  (why: string, hint = newToken): Remedies =>
  () => ({ code: "unauthorized", why, hint });

const closed =
  (why: string, hint: string): Remedies =>
  ({ channel }) => ({
    code: "unauthorized",
    why: why.replace("%", channel),
    hint: hint.replace("%", channel),
  });

const askAdmin =
  "have a workspace administrator allow the app to post, or name another channel in --notifier";

/** https://docs.slack.dev/reference/methods/chat.postMessage#errors: what only a person can change. */
const remedies: Readonly<Record<string, Remedies | undefined>> = {
  invalid_auth: badToken("the token is not valid"),
  not_authed: badToken(
    "the token did not arrive",
    "check the proxy on the way to SLACK_API_URL, and SLACK_TOKEN",
  ),
  token_revoked: badToken("the token was revoked", `install the app again and ${newToken}`),
  token_expired: badToken("the token has expired", `turn token rotation off for the app and ${newToken}`),
  account_inactive: badToken("the token's app or user was removed", `install the app again and ${newToken}`),
  not_allowed_token_type: badToken("this kind of token can't post", newToken),
  missing_scope: (_, needed) => ({
    code: "unauthorized",
    why: `the token lacks the scope ${needed || "chat:write"}`,
    hint: `add the scope ${needed || "chat:write"} to the app (api.slack.com/apps, OAuth & Permissions) and install it again`,
  }),
  channel_not_found: ({ channel }) => ({
    code: "not-found",
    why: `there is no channel ${channel}, or it is private and the app is not in it`,
    hint: "correct the channel in --notifier slack://…; into a private one invite the app (/invite @app)",
  }),
  not_in_channel: closed(
    "the app is not in %",
    "invite the app into % (/invite @app), or give it the scope chat:write.public",
  ),
  is_archived: closed("% is archived", "unarchive %, or name another channel in --notifier slack://…"),
  restricted_action: closed("not everybody may post to %", askAdmin),
  restricted_action_read_only_channel: closed("% is read-only", askAdmin),
  restricted_action_thread_only_channel: closed(
    "% takes only threads",
    "name a thread: slack://…?thread=<ts>",
  ),
  ekm_access_denied: closed("the administrators have suspended posting", askAdmin),
  no_permission: closed("the app may not post to %", "invite the app into % (/invite @app)"),
  msg_too_long: () => ({
    code: "bad-answer",
    why: "Slack finds the message too long",
    hint: remedyOfLength,
  }),
};

/** What is wrong with one message and not with the next; of all other errors the app, the token or the channel is the cause. */
const aboutMessage: ReadonlySet<string> = new Set([
  "msg_too_long",
  "no_text",
  "invalid_arguments",
  "invalid_array_arg",
  "invalid_charset",
  "invalid_form_data",
  "markdown_text_conflict",
  "metadata_too_large",
]);

/** Slack's own trouble, which passes. */
const passing: ReadonlySet<string> = new Set([
  "internal_error",
  "fatal_error",
  "service_unavailable",
  "request_timeout",
  "team_added_to_org",
  "org_login_required",
  "external_channel_migrating",
]);

function refused(refusal: Extract<Refusal, { kind: "refused" }>, target: SlackTarget): DewyError {
  const { doing, host } = target;
  const { code: name, needed, detail } = scrubbed(refusal, target.token);
  if (passing.has(name)) {
    return new DewyError("http-status", `${doing}: ${host} is in trouble (${name})`, { retryable: true });
  }
  const remedy = remedies[name]?.(target, needed);
  const said = detail === "" ? name : `${name}: ${detail}`;
  const code = remedy?.code ?? "bad-answer";
  const why = remedy === undefined ? `${host} refuses the message (${said})` : `${remedy.why} (${name})`;
  const hint = remedy?.hint ?? "look the error up at docs.slack.dev/reference/methods/chat.postMessage";
  if (aboutMessage.has(name) || refusedPart(refusal) !== null) {
    return new MessageRefused(code, `${doing}: ${why}`, hint);
  }
  return new DewyError(code, `${doing}: ${why}`, { hint, retryable: false });
}

/** A server of its own may repeat whatever it was sent. */
function scrubbed<T extends Extract<Refusal, { kind: "refused" }>>(refusal: T, token: string): T {
  const clean = (text: string) =>
    text.replaceAll(token, "***").replace(/\b(?:xox[a-z]|xapp|xwfp)[.-]\S*/gi, "***");
  const line = clean(refusal.detail).replace(/\s+/g, " ").slice(0, 200);
  return { ...refusal, code: clean(refusal.code), needed: clean(refusal.needed), detail: line };
}
