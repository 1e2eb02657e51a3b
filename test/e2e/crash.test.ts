import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deploySteps } from "../../src/agent/deploy.ts";
import { demoApp, demoCommand, TestHost } from "../support/host.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const fullRun = process.env["DEWY_FULL"] === "1";

/** `current` leads to a release with every file of one published version in full. */
function expectWholeCurrent(host: TestHost): void {
  const version = host.current();
  const files = demoApp(version);
  for (const [name, content] of Object.entries(files)) {
    expect(readFileSync(join(host.root, "current", name), "utf8")).toBe(content);
  }
}

/** Runs an agent that dies at a step, until it has. */
async function dieAt(step: string, args: readonly string[]): Promise<void> {
  const child = Bun.spawn([process.execPath, "test/support/dying-agent.ts", step, ...args], {
    stdio: ["ignore", "inherit", "ignore"],
  });
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
}

describe("kill -9 of the agent", () => {
  const modes = { server: ["--min-uptime", "200ms"], assets: [] } as const;
  for (const mode of ["server", "assets"] as const) {
    test.each([...deploySteps])(
      `${mode}: at step "%s" of a deploy, the next start ends at the newest version`,
      async (step) => {
        await using host = new TestHost();
        const app = mode === "server" ? ["--port", `${host.port}`, "--", ...demoCommand] : [];
        const args = [
          mode,
          ...host.flags(),
          ...modes[mode],
          "--before-deploy-hook",
          "true",
          "--after-deploy-hook",
          "true",
          ...app,
        ];
        host.publish("v1.0.0");
        const first = host.start(args);
        await first.logged("Deploy done", { tag: "v1.0.0" });
        await until("reported", () => readdirSync(join(host.registry, "v1.0.0")).length === 2);
        await first.stop("SIGKILL");

        host.publish("v2.0.0");
        await dieAt(step, args);
        expectWholeCurrent(host);
        if (mode === "server") expect(await host.ask()).not.toBe("");

        const next = host.start(args);
        await until(
          "v2.0.0 is current",
          () => host.current() === "v2.0.0" && host.state().current?.tag === "v2.0.0",
        );
        if (mode === "server") await host.serves("v2.0.0");
        await until("v2.0.0 is in the history", () => host.history().some(({ tag }) => tag === "v2.0.0"));
        await until("v2.0.0 is reported once", () => readdirSync(join(host.registry, "v2.0.0")).length === 2);
        expect(await next.stop()).toBe(0);
        expect(next.errors()).toEqual([]);
        expect(readdirSync(join(host.root, "releases")).filter((name) => name.startsWith("."))).toEqual([]);
        expect(host.history().filter(({ tag }) => tag === "v2.0.0")).toHaveLength(1);
      },
      60_000,
    );
  }

  const kills = fullRun ? 200 : 40;
  test(`${kills} times at random moments under load: always whole, never a failed request`, async () => {
    await using host = new TestHost();
    host.publish("v0.0.0");
    const first = host.server();
    await first.logged("Start notification");
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    await first.stop("SIGKILL");
    for (let number = 1; number <= kills; number++) {
      host.publish(`v0.0.${number}`);
      const agent = host.server();
      await Bun.sleep(Math.random() * 600);
      await agent.stop("SIGKILL");
      expectWholeCurrent(host);
    }
    const last = host.server();
    await last.logged("Deploy skipped", { tag: `v0.0.${kills}`, reason: "current" });
    await host.serves(`v0.0.${kills}`);
    const { requests, failures, answers } = await load.stop();
    console.log(
      `${kills} kills: ${requests} requests, ${answers.size} versions seen, ${failures.length} failed`,
    );
    expect(failures).toEqual([]);
    expectWholeCurrent(host);
    expect(await last.stop()).toBe(0);
    expect(await host.ask()).toBe("");
  }, 600_000);
});
