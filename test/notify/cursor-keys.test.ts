import { describe, expect, test } from "bun:test";
import { openNotifiers } from "../../src/drivers/notifiers.ts";
import { HttpClient } from "../../src/http/client.ts";
import { cursorKey } from "../../src/notify/cursor.ts";
import { FakeClock } from "../support/clock.ts";
import { recordingLog } from "../support/recording.ts";

async function keysOf(...urls: readonly string[]) {
  const [clock, log] = [new FakeClock(), recordingLog()];
  const http = new HttpClient({ clock, log, userAgent: "dewy/test" });
  const env = { SLACK_TOKEN: "xoxb-1-planted-secret", MAIL_FROM: "dewy@example.com" };
  const platform = { os: "linux", arch: "amd64" } as const;
  const opened = await openNotifiers(urls, { http, governor: http.governor, clock, log, env, platform });
  return opened.map(({ key, formerKeys }) => ({ key, formerKeys }));
}

async function keyOf(url: string): Promise<string> {
  const [keys] = await keysOf(url);
  return keys?.key ?? "";
}

describe("a notifier keeps its cursor", () => {
  test.each([
    ["slack://deploys", "slack://deploys?title=App&url=https://app.example&quiet=true&on=error,deploy"],
    ["smtp://mail.example/ops@example.com", "smtps://mail.example/ops@example.com?subject=App"],
    [
      "smtp://mail.example/a@example.com,b@example.com",
      "mail://mail.example/b@example.com?to=a@example.com&username=u&password=p",
    ],
    ["webhook+https://hooks.example/x", "webhook+https://hooks.example/x?format=discord&on=error"],
  ])("where %s becomes %s", async (before, after) => {
    expect(await keyOf(after)).toBe(await keyOf(before));
  });
});

describe("a notifier begins anew", () => {
  test.each([
    ["slack://deploys", "slack://ops"],
    ["smtp://mail.example/ops@example.com", "smtp://mail.example/dev@example.com"],
    ["webhook+https://hooks.example/x", "webhook+https://hooks.example/y"],
  ])("where %s becomes %s", async (before, after) => {
    expect(await keyOf(after)).not.toBe(await keyOf(before));
  });
});

test("what an earlier agent knew by its URL is taken over", async () => {
  const url = "slack://deploys?title=App";
  expect(await keysOf(url)).toMatchObject([{ formerKeys: [cursorKey(url)] }]);
});

test("two to one place are told apart, and go on from where the one was", async () => {
  const [errors, deploys] = await keysOf("slack://deploys?on=error", "slack://deploys?on=deploy");
  expect(errors?.key).not.toBe(deploys?.key);
  const alone = await keyOf("slack://deploys");
  expect([errors?.formerKeys, deploys?.formerKeys]).toEqual([[alone], [alone]]);
});
