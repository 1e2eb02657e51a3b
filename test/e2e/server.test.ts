import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { TestHost } from "../support/host.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const fullRun = process.env["DEWY_FULL"] === "1";

describe("server", () => {
  test("serves the newest release, follows to the next, and leaves nothing behind when it ends", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.server();
    await host.serves("v1.0.0");
    host.publish("v1.1.0");
    await host.serves("v1.1.0");
    await agent.logged("Restart notification");
    expect(host.current()).toBe("v1.1.0");
    expect(await agent.stop()).toBe(0);
    expect(await host.ask()).toBe("");
    expect(agent.errors()).toEqual([]);
    expect(host.history().map(({ tag, fromTag, result }) => [tag, fromTag, result])).toEqual([
      ["v1.0.0", null, "deployed"],
      ["v1.1.0", "v1.0.0", "deployed"],
    ]);
  }, 120_000);

  const deploys = fullRun ? 100 : 25;
  test(`${deploys} deploys in a row under load lose no request`, async () => {
    await using host = new TestHost();
    host.publish("v0.0.0");
    const agent = host.server();
    await agent.logged("Start notification");
    const load = startLoad(host.port, { kept: 4, fresh: 4 });
    for (let number = 1; number <= deploys; number++) {
      host.publish(`v0.0.${number}`);
      await agent.logged("Deploy done", { tag: `v0.0.${number}` });
      // What is up and has not answered yet would be gone before it does.
      await until("it answers", () => load.seen().answers.has(`v0.0.${number}`));
    }
    const { requests, failures, answers } = await load.stop();
    console.log(
      `${deploys} deploys: ${requests} requests by ${answers.size} versions, ${failures.length} failed`,
    );
    expect(failures).toEqual([]);
    expect(answers.size).toBe(deploys + 1);
    expect(agent.errors()).toEqual([]);
    const kept = () => readdirSync(join(host.root, "releases")).length;
    await until("7 releases left", () => kept() === 7);
    expect(await agent.stop()).toBe(0);
  }, 600_000);
});
