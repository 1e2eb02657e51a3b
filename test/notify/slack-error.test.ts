import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { MessageRefused } from "../../src/notify/notifier.ts";
import { refusalOf, refusedPart } from "../../src/notify/slack/answer.ts";
import { slackError } from "../../src/notify/slack/error.ts";
import { token } from "./slack-fixture.ts";

const target = { doing: "post to Slack's #deploys", channel: "#deploys", host: "slack.test", token };
const now = new Date("2026-11-21T09:36:46.000Z");

/** What the library throws has these fields, whatever its class. */
const platform = (data: object) => ({ code: "slack_webapi_platform_error", data: { ok: false, ...data } });
const http = (statusCode: number, headers = {}) => ({
  code: "slack_webapi_http_error",
  statusCode,
  headers,
  body: token,
});
const request = (original: unknown) => ({ code: "slack_webapi_request_error", original });

function classified(thrown: unknown): DewyError {
  return slackError(refusalOf(thrown), target, now);
}

describe("what only a person can change is not tried again", () => {
  test.each([
    ["invalid_auth", "unauthorized", "the token is not valid", "SLACK_TOKEN"],
    ["not_authed", "unauthorized", "the token did not arrive", "SLACK_TOKEN"],
    ["token_revoked", "unauthorized", "was revoked", "install the app again"],
    ["token_expired", "unauthorized", "has expired", "token rotation"],
    ["account_inactive", "unauthorized", "was removed", "install the app again"],
    ["not_allowed_token_type", "unauthorized", "kind of token", "Bot User OAuth Token"],
    ["missing_scope", "unauthorized", "the scope chat:write", "add the scope chat:write"],
    ["channel_not_found", "not-found", "no channel #deploys", "invite the app"],
    ["not_in_channel", "unauthorized", "not in #deploys", "into #deploys"],
    ["is_archived", "unauthorized", "#deploys is archived", "unarchive #deploys"],
    ["restricted_action", "unauthorized", "may post to #deploys", "administrator"],
    ["restricted_action_read_only_channel", "unauthorized", "#deploys is read-only", "administrator"],
    ["restricted_action_thread_only_channel", "unauthorized", "only threads", "thread="],
    ["no_permission", "unauthorized", "may not post to #deploys", "invite"],
    ["ekm_access_denied", "unauthorized", "suspended", "administrator"],
    ["msg_too_long", "bad-answer", "too long", "bug"],
    ["no_text", "bad-answer", "slack.test refuses the message (no_text)", "docs.slack.dev"],
    ["some_new_error", "bad-answer", "slack.test refuses the message (some_new_error)", "docs.slack.dev"],
  ] as const)("%s", (error, code, message, hint) => {
    const failure = classified(platform({ error }));
    expect(failure).toMatchObject({ code, retryable: false });
    expect(failure.message).toStartWith("post to Slack's #deploys: ");
    expect(failure.message).toContain(message);
    expect(failure.message).toContain(`(${error})`);
    expect(failure.message).not.toContain("%");
    expect(failure.hint).toContain(hint);
    expect(failure.hint).not.toContain("%");
    expect(failure.retryAfterMs).toBeUndefined();
  });

  test.each([
    ["msg_too_long", true],
    ["no_text", true],
    ["invalid_arguments", true],
    ["invalid_blocks", true],
    ["thread_not_found", true],
    ["token_revoked", false],
    ["channel_not_found", false],
    ["is_archived", false],
    ["some_new_error", false],
  ])("of %s it is this message alone: %p", (error, isAlone) => {
    expect(classified(platform({ error })) instanceof MessageRefused).toBe(isAlone);
  });

  test("and the scope that is missing is named", () => {
    const failure = classified(
      platform({ error: "missing_scope", needed: "chat:write.public", provided: "x" }),
    );
    expect(failure.message).toContain("the scope chat:write.public");
    expect(failure.hint).toContain("add the scope chat:write.public");
  });
});

describe("what passes is tried again", () => {
  test.each([
    ["internal_error", platform({ error: "internal_error" }), "http-status", "in trouble (internal_error)"],
    ["fatal_error", platform({ error: "fatal_error" }), "http-status", "in trouble (fatal_error)"],
    ["service_unavailable", platform({ error: "service_unavailable" }), "http-status", "in trouble"],
    ["request_timeout", platform({ error: "request_timeout" }), "http-status", "in trouble"],
    ["team_added_to_org", platform({ error: "team_added_to_org" }), "http-status", "in trouble"],
    ["status 500", http(500), "http-status", "slack.test answered 500"],
    ["status 503", http(503), "http-status", "slack.test answered 503"],
    ["status 408", http(408), "http-status", "slack.test answered 408"],
    ["a page", platform({ error: `<html>${token}</html>` }), "bad-answer", "no JSON answer of Slack"],
    ["nothing", platform({}), "bad-answer", "no JSON answer of Slack"],
    ["status 204", http(204), "bad-answer", "status 204"],
    ["status 404", http(404), "not-found", "slack.test answered 404"],
    [
      "a connection that broke",
      request(Object.assign(new Error(token), { code: "ECONNRESET" })),
      "network-unreachable",
      "no connection to slack.test (ECONNRESET)",
    ],
    [
      "an unknown certificate",
      request(Object.assign(new Error("x"), { code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" })),
      "network-unreachable",
      "no trusted TLS connection to slack.test",
    ],
  ] as const)("%s", (_, thrown, code, message) => {
    const failure = classified(thrown);
    expect(failure).toMatchObject({ code, retryable: true });
    expect(failure.message).toContain(message);
    expect(Bun.inspect(failure, { depth: 9 })).not.toContain("planted-secret");
  });

  test.each([
    ["429", { code: "slack_webapi_rate_limited_error", retryAfter: 12 }, 12_000],
    ["429 at once", { code: "slack_webapi_rate_limited_error", retryAfter: 0 }, 0],
    ["429 without a time", { code: "slack_webapi_rate_limited_error" }, 30_000],
    ["ratelimited", platform({ error: "ratelimited" }), 30_000],
    ["rate_limited", platform({ error: "rate_limited", response_metadata: { retryAfter: 7 } }), 7000],
    ["odd times", platform({ error: "ratelimited", response_metadata: { retryAfter: Number.NaN } }), 30_000],
  ])("when the time has come that is named with %s", (_, thrown, retryAfterMs) => {
    expect(classified(thrown)).toMatchObject({ code: "rate-limited", retryable: true, retryAfterMs });
  });

  test("when the time has come that a 503 names", () => {
    expect(classified(http(503, { "retry-after": "20" }))).toMatchObject({
      retryable: true,
      retryAfterMs: 20_000,
    });
  });

  test("and keeps what was already said", () => {
    const own = new DewyError("network-timeout", "nothing came");
    expect(classified(request(own))).toBe(own);
  });
});

test.each([
  [413, true],
  [401, false],
  [407, false],
])("status %d is about this message alone: %p", (status, isAlone) => {
  expect(classified(http(status)) instanceof MessageRefused).toBe(isAlone);
});

test("a proxy that wants a password is named", () => {
  expect(classified(http(407))).toMatchObject({
    code: "unauthorized",
    retryable: false,
    hint: expect.stringContaining("HTTPS_PROXY"),
  });
});

test.each([
  [{ error: "some_error", response_metadata: { messages: [`[ERROR] ${token} is bad`] } }],
  [{ error: "some_error", response_metadata: { messages: ["[ERROR] xoxp-9-planted-secret is bad"] } }],
  [{ error: "missing_scope", needed: token }],
  [{ error: token }],
])("a token in the answer %j is not repeated", (data) => {
  expect(Bun.inspect(classified(platform(data)), { depth: 9 })).not.toContain("planted-secret");
});

test("what Slack says of a message is repeated in one line", () => {
  const text = `[ERROR] must be more\nthan 0 ${"x".repeat(500)}`;
  const { message } = classified(
    platform({ error: "invalid_arguments", response_metadata: { messages: [text] } }),
  );
  expect(message).toContain("refuses the message (invalid_arguments: must be more than 0 xxx");
  expect(message.length).toBeLessThan(300);
});

describe("a message could do without", () => {
  test.each([
    ["thread_not_found", "thread"],
    ["cannot_reply_to_message", "thread"],
    ["invalid_thread_ts", "thread"],
    ["restricted_action_non_threadable_channel", "thread"],
    ["invalid_blocks", "blocks"],
    ["invalid_attachments", "blocks"],
    ["msg_blocks_too_long", "blocks"],
    ["channel_not_found", null],
    ["internal_error", null],
    ["ratelimited", null],
  ] as const)("what %s is about: %s", (error, part) => {
    expect(refusedPart(refusalOf(platform({ error })))).toBe(part);
  });

  test("nothing where there was no answer", () => {
    expect(refusedPart(refusalOf(request(new Error("x"))))).toBeNull();
  });
});
