import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { noticeOf } from "./notices.ts";
import { refuseSecretsIn } from "./secrets.ts";
import { SlackServer } from "./slack-server.ts";
import { tempDir } from "./temp-dir.ts";
import { WebhookReceiver } from "./webhook-receiver.ts";

const shown = /dewy showed a secret/;

describe("a secret that is shown fails the test, whoever is shown it", () => {
  test.each(["state.json", "history.jsonl", "outbox/1795253806000-0a1b2c3d.json"])("in %s", (file) => {
    using dir = tempDir();
    mkdirSync(join(dir.path, "outbox"));
    writeFileSync(join(dir.path, file), '{"reason":"no such thing"}\n');
    refuseSecretsIn(dir.path);
    writeFileSync(join(dir.path, file), '{"reason":"password=planted"}\n');
    expect(() => refuseSecretsIn(dir.path)).toThrow(shown);
  });

  test("in Slack, but for the token in its place", async () => {
    const post = async (text: string) => {
      const server = await SlackServer.start({ token: "xoxb-planted" });
      const headers = {
        Authorization: "Bearer xoxb-planted",
        "Content-Type": "application/x-www-form-urlencoded",
      };
      const body = new URLSearchParams({ channel: "#deploys", text }).toString();
      await fetch(`${server.apiUrl}chat.postMessage`, { method: "POST", headers, body });
      await server[Symbol.asyncDispose]();
    };
    await post("hello");
    await expect(post("password=planted")).rejects.toThrow(shown);
  });

  test("at a web hook, but for the path that lets in", async () => {
    const post = async (body: string, headers: Record<string, string> = {}) => {
      const receiver = await WebhookReceiver.start(null);
      await fetch(`${receiver.http.origin}/planted`, { method: "POST", headers, body });
      await receiver[Symbol.asyncDispose]();
    };
    await post(JSON.stringify(noticeOf({ kind: "downloaded", tag: "v1" })));
    await expect(post("planted")).rejects.toThrow(shown);
    await expect(post("{}", { "X-Other": "planted" })).rejects.toThrow(shown);
  });
});
