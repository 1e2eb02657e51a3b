import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { slackUrl } from "../../src/notify/slack/url.ts";
import { parse, token } from "./slack-fixture.ts";

const env = { SLACK_TOKEN: token };

function failure(text: string, environment: Readonly<Record<string, string | undefined>> = env): DewyError {
  try {
    parse(text, environment);
  } catch (error) {
    if (error instanceof DewyError) return error;
    throw error;
  }
  throw new Error(`${text} was read`);
}

describe("the channel", () => {
  test.each([
    ["slack://deploys", "#deploys", "slack://deploys"],
    ["slack://deploys/", "#deploys", "slack://deploys"],
    ["slack://#deploys", "#deploys", "slack://deploys"],
    ["slack://%23deploys", "#deploys", "slack://deploys"],
    ["slack://deploys?title=App", "#deploys", "slack://deploys"],
    ["slack://#deploys?title=App", "#deploys", "slack://deploys"],
    ["slack://web_2-ops", "#web_2-ops", "slack://web_2-ops"],
    ["slack://デプロイ", "#デプロイ", "slack://デプロイ"],
    ["slack://C024BE91L", "C024BE91L", "slack://C024BE91L"],
    ["slack://C0", "", ""],
    ["slack://G012AC86C?quiet=true", "G012AC86C", "slack://G012AC86C"],
    ["slack://U024BE7LH", "U024BE7LH", "slack://U024BE7LH"],
    [`slack://${"a".repeat(80)}`, `#${"a".repeat(80)}`, `slack://${"a".repeat(80)}`],
  ])("of %s is %s", (text, channel, name) => {
    if (channel === "") expect(failure(text).code).toBe("config-invalid");
    else expect(parse(text)).toMatchObject({ channel, name });
  });

  test.each([
    "slack://",
    "slack:///deploys",
    "slack:deploys",
    "slack://deploys/releases",
    "slack://Deploys",
    "slack://my.channel",
    "slack://deploys:80",
    "slack://%zz",
    "slack://a%20b",
    "slack://a%0Ab",
    "slack://%3C!channel%3E",
    `slack://${"a".repeat(81)}`,
    "slack://#",
    "slack://##deploys",
    "slack://#a b",
    "slack://#[",
    "slack://#a#b",
  ])("of %s is none that can be", (text) => {
    expect(failure(text)).toMatchObject({ code: "config-invalid", hint: expect.stringMatching(/^write /) });
  });

  test("is not all there is before a #, whose rest would be lost", () => {
    const text = "slack://deploys?title=App&url=https://app.test/#top&quiet=true";
    expect(failure(text)).toMatchObject({ code: "config-invalid", hint: "write # in a URL as %23" });
  });
});

describe("the parameters", () => {
  test("are read with and without #", () => {
    const query = `title=My%20App&url=${encodeURIComponent("https://app.test/a?b=1&c=2#d")}&thread=1503435956.000247`;
    for (const text of [`slack://deploys?${query}`, `slack://#deploys?${query}`]) {
      expect(parse(text)).toMatchObject({
        title: "My App",
        titleUrl: "https://app.test/a?b=1&c=2#d",
        thread: "1503435956.000247",
      });
    }
  });

  test("are absent without", () => {
    expect(parse("slack://deploys")).toMatchObject({ title: null, titleUrl: null, thread: null });
  });

  test.each([
    ["title=", "title"],
    ["url=app.test", "no web address"],
    ["url=javascript:alert(1)", "no web address"],
    ["url=https://user:hunter2@app.test", "holds credentials"],
    [`url=https://app.test/${"%26".repeat(150)}`, ""],
    [`url=https://app.test/${"a".repeat(1000)}`, "longer than 1,000"],
    ["thread=1503435956", "is no thread"],
    ["thread=p1503435956000247", "is no thread"],
    ["thread=true", "is no thread"],
    ["titel=App", 'unknown parameter "titel"'],
    ["title=a&title=b", "more than once"],
  ])("%s: %s", (query, message) => {
    if (message === "") return void parse(`slack://deploys?${query}`);
    for (const text of [`slack://deploys?${query}`, `slack://#deploys?${query}`]) {
      const error = failure(text);
      expect(error.code).toBe("config-invalid");
      expect(error.message).toContain(message);
      expect(error.message).not.toContain("hunter2");
    }
  });
});

describe("the token", () => {
  test("comes from SLACK_TOKEN, without the line's end of the file it was in", () => {
    expect(parse("slack://deploys", { SLACK_TOKEN: `${token}\n` }).token).toBe(token);
  });

  test.each([undefined, "", " \n"])("is missed where SLACK_TOKEN is %j", (value) => {
    const error = failure("slack://deploys", { SLACK_TOKEN: value });
    expect(error).toMatchObject({ code: "config-invalid", retryable: false });
    expect(error.message).toContain("SLACK_TOKEN is not set");
    expect(error.hint).toContain("chat:write");
  });

  test("that can't be one is refused and not repeated", () => {
    const error = failure("slack://deploys", { SLACK_TOKEN: "xoxb-one\nxoxb-two" });
    expect(error.code).toBe("config-invalid");
    expect(Bun.inspect(error)).not.toContain("xoxb-");
  });

  test.each([
    "slack://xoxb-1-secret@deploys",
    "slack://user:secret@deploys",
    "slack://deploys?token=xoxb-1-secret",
    "slack://#deploys?token=secret",
    "slack://xoxb-1-secret",
    "slack://xoxe.xoxp-1-secret",
    "slack://#xoxp-1-secret",
    "slack://deploys/xapp-1-secret",
    "slack://deploys?title=xoxb-1-secret",
  ])("in %s is refused and not repeated", (text) => {
    const error = failure(text);
    expect(error).toMatchObject({ code: "config-invalid", message: "the Slack URL holds a token" });
    expect(error.hint).toContain("SLACK_TOKEN");
    expect(Bun.inspect(error)).not.toContain("secret");
  });
});

describe("the server", () => {
  test.each([
    [undefined, "https://slack.com/api/"],
    ["", "https://slack.com/api/"],
    ["https://slack.test/api", "https://slack.test/api/"],
    ["https://slack.test/api///", "https://slack.test/api/"],
    ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"],
  ])("of SLACK_API_URL=%s is %s", (value, apiUrl) => {
    expect(parse("slack://deploys", { ...env, SLACK_API_URL: value }).apiUrl).toBe(apiUrl);
  });

  test.each([
    "slack.test/api",
    "ftp://slack.test/",
    "https://user:hunter2@slack.test/api/",
    "https://slack.test/api/?key=hunter2",
    "https://slack.test/api/#hunter2",
  ])("can't be %s", (value) => {
    const error = failure("slack://deploys", { ...env, SLACK_API_URL: value });
    expect(error.code).toBe("config-invalid");
    expect(error.message).toContain("SLACK_API_URL");
    expect(Bun.inspect(error)).not.toContain("hunter2");
  });
});

test("a URL that is right stays as it is", () => {
  const url = new URL("slack://deploys?title=App");
  expect(slackUrl(url)).toBe(url);
});
