import { describe, expect, test } from "bun:test";
import type { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import { openSlack } from "../../src/notify/slack/notifier.ts";
import { failureOf } from "../http/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import { HttpHost } from "../support/http-host.ts";
import { noticeOf } from "../support/notices.ts";
import type { SlackFailure } from "../support/slack-server.ts";
import { until } from "../support/until.ts";
import { parse, startScene, token } from "./slack-fixture.ts";

const c = { signal: new AbortController().signal };
const downloaded = { kind: "downloaded", tag: "v1.2.3" } as const;

describe("a service in trouble", () => {
  test.each<[string, SlackFailure, Partial<DewyError>]>([
    ["500", { status: 500, body: "oops" }, { code: "http-status", retryable: true }],
    ["503", { status: 503, headers: { "Retry-After": "9" } }, { code: "http-status", retryAfterMs: 9000 }],
    ["429", { status: 429, headers: { "Retry-After": "9" } }, { code: "rate-limited", retryAfterMs: 9000 }],
    [
      "429 with a date",
      {
        status: 429,
        headers: { "Retry-After": "Sat, 21 Nov 2026 09:37:16 GMT", Date: "Sat, 21 Nov 2026 09:36:46 GMT" },
      },
      { code: "rate-limited", retryAfterMs: 30_000 },
    ],
    ["429 without a time", { status: 429 }, { code: "rate-limited", retryAfterMs: 60_000 }],
    [
      "429 with an odd one",
      { status: 429, headers: { "Retry-After": "soon" } },
      { code: "rate-limited", retryAfterMs: 60_000 },
    ],
    ["a page", { status: 200, body: "<html>captive portal</html>" }, { code: "bad-answer", retryable: true }],
    ["null", { status: 200, body: "null" }, { code: "bad-answer", retryable: true }],
    [
      "what it calls compressed",
      { status: 200, headers: { "Content-Encoding": "gzip" }, body: "{}" },
      { code: "bad-answer", retryable: true },
    ],
    ["nothing", { status: 204 }, { code: "bad-answer", retryable: true }],
    ["half an answer", "cut", { code: "network-unreachable", retryable: true }],
    ["no answer for what it took", "cut-when-taken", { code: "network-unreachable", retryable: true }],
    [
      "a lot",
      { status: 200, body: `{"ok":true,"x":"${"x".repeat(2 * 1024 * 1024)}"}` },
      { code: "bad-answer", retryable: true },
    ],
    [
      "not compressed data",
      { status: 200, headers: { "Content-Type": "application/gzip" }, body: "{}" },
      { code: "bad-answer", retryable: true },
    ],
  ])("that answers with %s is told apart, and asked once", async (_, failure, expected) => {
    await using scene = await startScene();
    scene.server.fail(failure);
    const error = await failureOf(scene.notifier.notify(noticeOf(downloaded), c));
    expect(error).toMatchObject(expected);
    expect(error.message).toStartWith("post to Slack's #deploys: ");
    expect(Bun.inspect(error, { depth: 9 })).not.toContain(token);
    expect(scene.server.calls).toHaveLength(1);
    scene.server.heal();
    await scene.notifier.notify(noticeOf(downloaded), c);
  });

  test("that is not there is told apart", async () => {
    const scene = await startScene();
    await scene.server[Symbol.asyncDispose]();
    const error = await failureOf(scene.notifier.notify(noticeOf(downloaded), c));
    expect(error).toMatchObject({ code: "network-unreachable", retryable: true });
  });

  test.each(["hang", "hang-half-way"] as const)("is left when it does nothing for 30 s (%s)", async (how) => {
    const clock = new FakeClock();
    await using scene = await startScene("slack://deploys", { clock });
    scene.server.fail(how);
    const sending = failureOf(scene.notifier.notify(noticeOf(downloaded), c));
    await until("it came", () => scene.server.calls.length === 1);
    await clock.advance(30_000);
    // Half an answer may have begun the wait anew.
    await clock.advance(30_000);
    const error = await sending;
    expect(error).toMatchObject({ code: "network-timeout", retryable: true });
    await until("the connection is closed", () => scene.server.connections === 0);
    await until("the call is given up", () => scene.server.abandoned === 1);
    expect(clock.sleeping).toBe(0);
  });

  test.each(["hang", "hang-half-way"] as const)("is left when the caller stops (%s)", async (how) => {
    await using scene = await startScene();
    scene.server.fail(how);
    const stop = new AbortController();
    const reason = new DOMException("time is up", "TimeoutError");
    const sending = scene.notifier.notify(noticeOf(downloaded), stop);
    await until("it came", () => scene.server.calls.length === 1);
    stop.abort(reason);
    await expect(sending).rejects.toBe(reason);
    await until("the connection is closed", () => scene.server.connections === 0);
  });

  test("is left when the notifier is closed", async () => {
    await using scene = await startScene();
    scene.server.fail("hang");
    const sending = failureOf(scene.notifier.notify(noticeOf(downloaded), c));
    await until("it came", () => scene.server.calls.length === 1);
    await scene.notifier[Symbol.asyncDispose]();
    expect(await sending).toMatchObject({ code: "stopped" });
    await until("the connection is closed", () => scene.server.connections === 0);
    expect(await failureOf(scene.notifier.notify(noticeOf(downloaded), c))).toMatchObject({
      code: "stopped",
    });
    expect(scene.server.calls).toHaveLength(1);
  });

  test("is left while TLS still begins", async () => {
    let open = 0;
    using silent = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open() {
          open += 1;
        },
        close() {
          open -= 1;
        },
        data() {},
      },
    });
    const env = { SLACK_TOKEN: token, SLACK_API_URL: `https://127.0.0.1:${silent.port}/api/` };
    const clock = new FakeClock();
    await using notifier = openSlack(parse("slack://deploys", env), { clock, log: silentLog });
    const sending = failureOf(notifier.notify(noticeOf(downloaded), c));
    await until("it connects", () => open === 1);
    await clock.advance(30_000);
    expect(await sending).toMatchObject({ code: "network-timeout", retryable: true });
    await until("the connection is closed", () => open === 0);
  });
});

describe("a redirect", () => {
  test.each([301, 302, 307, 308])("by status %i takes the token nowhere", async (status) => {
    await using other = await HttpHost.start(() => ({ status: 200, body: '{"ok":true}' }));
    await using scene = await startScene();
    for (const to of [`${other.origin}/api/chat.postMessage`, "/api/chat.postMessage"]) {
      scene.server.fail({ status, headers: { Location: to } }, 1);
      const error = await failureOf(scene.notifier.notify(noticeOf(downloaded), c));
      expect(error).toMatchObject({ code: "bad-answer", retryable: true });
      expect(error.message).toContain(`a redirect (status ${status})`);
      expect(error.hint).toContain("SLACK_API_URL");
    }
    expect(other.requests).toEqual([]);
    expect(scene.server.messages).toEqual([]);
  });
});
