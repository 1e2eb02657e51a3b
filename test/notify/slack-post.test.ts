import { describe, expect, spyOn, test } from "bun:test";
import { silentLog } from "../../src/log.ts";
import { openSlack } from "../../src/notify/slack/notifier.ts";
import { build } from "../../src/version.ts";
import { failureOf } from "../http/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import { noticeOf } from "../support/notices.ts";
import { recordingLog } from "../support/recording.ts";
import { SlackServer } from "../support/slack-server.ts";
import { until } from "../support/until.ts";
import { parse, startScene, textsOf, thread, token } from "./slack-fixture.ts";

const c = { signal: new AbortController().signal };
const downloaded = { kind: "downloaded", tag: "v1.2.3" } as const;
const crashed = { kind: "crashed", tag: "v1.2.3", reason: "it died", delayMs: 0 } as const;

describe("a message", () => {
  test("goes to the channel, as Slack wants it, and brings no link to life", async () => {
    await using scene = await startScene("slack://deploys?title=App&url=https://app.test/");
    await scene.notifier.notify(noticeOf(downloaded), c);
    const [call] = scene.server.calls;
    expect(call).toMatchObject({
      path: "/api/chat.postMessage",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": `dewy/${build.version}`,
      },
      args: {
        channel: "#deploys",
        text: "*<https://app.test/|App>* · Downloaded artifact for `v1.2.3`",
        parse: "none",
        link_names: false,
        unfurl_links: false,
        unfurl_media: false,
      },
    });
    expect(JSON.stringify(call?.args)).not.toContain(token);
    expect(scene.notifier.name).toBe("slack://deploys");
  });

  test("goes to an ID", async () => {
    await using server = await SlackServer.start({ token, channels: ["C024BE91L"] });
    const options = parse("slack://C024BE91L", { SLACK_TOKEN: token, SLACK_API_URL: server.apiUrl });
    await using notifier = openSlack(options, { clock: new FakeClock(), log: silentLog });
    await notifier.notify(noticeOf(downloaded), c);
    expect(server.messages).toHaveLength(1);
  });

  test("leaves no connection open", async () => {
    await using scene = await startScene();
    await scene.notifier.notify(noticeOf(downloaded), c);
    await until("the connection is closed", () => scene.server.connections === 0);
  });

  test("is not written to the console, and nor is what becomes of it", async () => {
    const methods = ["log", "info", "warn", "error", "debug"] as const;
    const spies = methods.map((method) => spyOn(console, method).mockImplementation(() => undefined));
    try {
      await using scene = await startScene();
      await scene.notifier.notify(noticeOf(downloaded), c);
      scene.server.fail(
        { error: "invalid_auth", fields: { response_metadata: { messages: ["[ERROR] no"] } } },
        1,
      );
      await failureOf(scene.notifier.notify(noticeOf(downloaded), c));
      scene.server.fail("cut", 1);
      await failureOf(scene.notifier.notify(noticeOf(downloaded), c));
      expect(spies.flatMap((spy) => spy.mock.calls)).toEqual([]);
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  });
});

describe("a thread", () => {
  test.each([
    ["the release's", "slack://deploys", thread],
    ["the URL's", `slack://deploys?thread=${thread}`, null],
    ["the URL's before the release's", `slack://deploys?thread=${thread}`, "1503435956.999999"],
  ])("%s takes all; the channel sees only errors", async (_, url, brought) => {
    await using scene = await startScene(url);
    await scene.notifier.notify(noticeOf(downloaded, { thread: brought }), c);
    await scene.notifier.notify(noticeOf(crashed, { thread: brought }), c);
    expect(scene.server.messages).toMatchObject([
      { thread_ts: thread, reply_broadcast: false },
      { thread_ts: thread, reply_broadcast: true },
    ]);
  });

  test.each([null, "", "main", "1503435956", "<!channel>"])("%j is none", async (brought) => {
    await using scene = await startScene();
    await scene.notifier.notify(noticeOf(crashed, { thread: brought }), c);
    expect(scene.server.messages[0]).not.toHaveProperty("thread_ts");
    expect(scene.server.messages[0]).not.toHaveProperty("reply_broadcast");
    expect(scene.server.calls).toHaveLength(1);
  });

  test("that is not there is done without, once", async () => {
    const log = recordingLog();
    await using scene = await startScene("slack://deploys", { log });
    await scene.notifier.notify(noticeOf(crashed, { thread: "1503435956.999999" }), c);
    expect(scene.server.calls.map(({ args }) => args["thread_ts"])).toEqual(["1503435956.999999", undefined]);
    expect(scene.server.messages).toHaveLength(1);
    expect(log.records).toMatchObject([
      { level: "warn", attributes: { channel: "#deploys", part: "thread", error: "thread_not_found" } },
    ]);
    scene.server.fail({ error: "cannot_reply_to_message" });
    const failure = await failureOf(scene.notifier.notify(noticeOf(crashed, { thread }), c));
    expect(failure).toMatchObject({ retryable: false });
    expect(scene.server.calls).toHaveLength(4);
  });
});

test("blocks that Slack does not take are done without, so that the news arrives", async () => {
  const log = recordingLog();
  await using scene = await startScene("slack://deploys", { log });
  scene.server.fail({ error: "thread_not_found" }, 1);
  scene.server.fail({ error: "invalid_blocks" }, 1);
  await scene.notifier.notify(noticeOf(downloaded, { thread }), c);
  expect(scene.server.messages).toMatchObject([{ text: "Downloaded artifact for `v1.2.3`" }]);
  expect(scene.server.messages.flatMap(textsOf)).toHaveLength(1);
  expect(log.at("warn")).toHaveLength(2);
  expect(log.at("error")).toEqual([]);
});

describe("an address in SLACK_API_URL", () => {
  test.each([
    ["http://slack-proxy.test/api/", 1],
    ["http://10.0.0.7:8080/api/", 1],
    ["https://slack-proxy.test/api/", 0],
    ["http://127.0.0.1:8080/api/", 0],
    ["http://[::1]:8080/api/", 0],
    ["http://localhost/api/", 0],
  ])("such as %s is warned of %d times, as the token would go in clear", async (url, times) => {
    const log = recordingLog();
    const env = { SLACK_TOKEN: token, SLACK_API_URL: url };
    await using _ = openSlack(parse("slack://deploys", env), { clock: new FakeClock(), log });
    expect(log.at("warn")).toEqual(
      Array.from({ length: times }, () => "The Slack token is sent without encryption"),
    );
    expect(JSON.stringify(log.records)).not.toContain(token);
  });
});
