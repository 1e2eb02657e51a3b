import { describe, expect, test } from "bun:test";
import { DyingHost, type NoticeStep, repeated } from "../support/dying-host.ts";
import { type SlackFailure, SlackServer } from "../support/slack-server.ts";
import { until } from "../support/until.ts";

const token = "xoxb-1-planted-secret";
const limited: SlackFailure = { status: 429, headers: { "Retry-After": "1" } };
const broken: SlackFailure = { status: 500 };

/** A host whose agents die, and the Slack that they tell. */
async function start() {
  const server = await SlackServer.start({ token });
  const host = new DyingHost({
    notifier: "slack://deploys",
    env: { SLACK_TOKEN: token, SLACK_API_URL: server.apiUrl },
    heal: () => server.heal(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  });
  /** Of the deploys whose success arrived, in the order it did. */
  const told = () =>
    server.messages.flatMap(({ text }) => /placed for `(v[\d.]+)`/.exec(text)?.slice(1) ?? []);
  return { server, host, told, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
}

describe("a Slack that is in trouble, and agents that are killed", () => {
  test.each<[string, SlackFailure, readonly NoticeStep[]]>([
    ["limits", limited, ["adding", "sending", "recorded"]],
    ["breaks", broken, ["added", "answered", "cleared"]],
    ["takes what it does not confirm", "cut-when-taken", ["sending", "answered"]],
  ])(
    "while it %s: every deploy is told, in order",
    async (_, failure, steps) => {
      await using scene = await start();
      const { server, host, told } = scene;
      let most = 0;
      for (const step of steps) {
        server.fail(failure, 1);
        await host.dieAt(step, 2);
        // What was taken without an answer, and what the death repeats.
        most += (failure === "cut-when-taken" ? 1 : 0) + Math.max(...repeated[step]);
        const next = host.deployNext("never", 0);
        expect(await next.exited).toBe(0);
        host.look();
      }
      expect(host.kills).toBe(steps.length);
      expect(await host.bringHome()).toBe(1);
      expect([...new Set(told())]).toEqual(host.deployed);
      // Some die before their deploy is committed.
      expect(host.deployed.length).toBeGreaterThanOrEqual(steps.length);
      expect(told().length - host.deployed.length).toBeLessThanOrEqual(most);
    },
    60_000,
  );

  test("in the middle of a call that hangs: it is told, once", async () => {
    await using scene = await start();
    const { server, host, told } = scene;
    await host.dieAt("never", 0);
    server.fail("hang");
    const before = server.calls.length;
    const agent = host.deployNext("never", 0);
    await until("a call hangs", () => server.calls.length > before);
    agent.kill("SIGKILL");
    await agent.exited;
    host.look();
    await host.bringHome();
    expect(told()).toEqual(host.deployed);
  }, 60_000);
});
