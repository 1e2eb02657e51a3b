import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { TestHost } from "../support/host.ts";
import { SlackServer } from "../support/slack-server.ts";
import { MailServer } from "../support/smtp-server.ts";
import { until } from "../support/until.ts";
import { WebhookReceiver } from "../support/webhook-receiver.ts";

const secrets = {
  SLACK_TOKEN: "xoxb-plantedSecret",
  MAIL_USERNAME: "dewy",
  MAIL_PASSWORD: "planted-mail-password",
  DEWY_WEBHOOK_SECRET: "planted-webhook-key",
};
const path = "planted-hook-path";

async function services() {
  const open = new AsyncDisposableStack();
  const slack = open.use(await SlackServer.start({ token: secrets.SLACK_TOKEN, channels: ["#ops"] }));
  const login = { username: secrets.MAIL_USERNAME, password: secrets.MAIL_PASSWORD };
  const mail = open.use(await MailServer.start({ tls: "none", login }));
  const hook = open.use(await WebhookReceiver.start(secrets.DEWY_WEBHOOK_SECRET));
  return {
    slack,
    mail,
    hook,
    env: { ...secrets, SLACK_API_URL: slack.apiUrl },
    flags: [
      ...["--notifier", "slack://ops"],
      ...["--notifier", `smtp://127.0.0.1:${mail.port}/ops@example.com?tls=false&on=deploy,error`],
      ...["--notifier", `webhook+http://${hook.host}/${path}`],
    ],
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

const deployed = (texts: readonly string[]) =>
  texts.flatMap((text) => /(?:started|restarted|placed) for `?(v[\d.]+)/.exec(text)?.[1] ?? []);

describe("people are told", () => {
  test("of each deploy once, in order, by every service, and nobody of a secret", async () => {
    await using to = await services();
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.server(to.flags, undefined, to.env);
    await host.serves("v1.0.0");
    host.publish("v1.1.0");
    await host.serves("v1.1.0");
    const told = () => ({
      slack: to.slack.messages.map((message) => JSON.stringify(message)),
      mails: to.mail.mails.map(({ text }) => text),
      hook: to.hook.taken,
    });
    await until("all have both", () => Object.values(told()).every((texts) => deployed(texts).length === 2));
    expect(await agent.stop()).toBe(0);
    const { mails, ...others } = told();
    for (const texts of [mails, ...Object.values(others)]) {
      expect(deployed(texts)).toEqual(["v1.0.0", "v1.1.0"]);
      for (const secret of Object.values(secrets).filter((value) => value !== "dewy")) {
        expect(texts.join("\n")).not.toContain(secret);
      }
    }
    expect(to.hook.taken.join("\n")).toContain("Stop receiving by");
    expect(mails.join("\n")).not.toContain("Stop receiving by");
    for (const secret of [...Object.values(secrets).filter((value) => value !== "dewy"), path]) {
      expect(agent.output).not.toContain(secret);
    }
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("later, when the service was away and the agent was killed meanwhile; a deploy waits for neither", async () => {
    await using to = await services();
    await using host = new TestHost();
    to.slack.fail({ status: 500 });
    host.publish("v1.0.0");
    const killed = host.server(to.flags, undefined, to.env);
    await host.serves("v1.0.0");
    host.publish("v1.1.0");
    await host.serves("v1.1.0");
    await killed.logged("Deploy done", { tag: "v1.1.0" });
    await killed.stop("SIGKILL");
    to.slack.heal();
    const agent = host.server(to.flags, undefined, to.env);
    const told = () => deployed(to.slack.messages.map((message) => JSON.stringify(message)));
    await until("Slack has both", () => told().length === 2);
    expect(told()).toEqual(["v1.0.0", "v1.1.0"]);
    expect(await agent.stop()).toBe(0);
  }, 120_000);

  test("of an outage of the registry, and of its end", async () => {
    await using to = await services();
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.server(to.flags, undefined, to.env);
    await host.serves("v1.0.0");
    const aside = join(host.scratch, "aside");
    Bun.spawnSync(["mv", host.registry, aside]);
    await until("the outage", () => to.hook.taken.some((text) => text.includes('"failed"')));
    rmSync(host.registry, { recursive: true, force: true });
    Bun.spawnSync(["mv", aside, host.registry]);
    await until("its end", () => to.hook.taken.some((text) => text.includes('"recovered"')));
    await until("mail of it", () => to.mail.mails.some(({ raw }) => /recovered|again/i.test(raw)));
    expect(await host.ask()).toStartWith("v1.0.0 ");
    expect(await agent.stop()).toBe(0);
  }, 120_000);
});
