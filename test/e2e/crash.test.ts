import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { deploySteps } from "../../src/agent/deploy/deploy.ts";
import { isLocked } from "../../src/agent/lock.ts";
import { ask } from "../../src/control/client.ts";
import type { DewyError } from "../../src/errors.ts";
import { groupIsGone } from "../support/app-host.ts";
import { type RunningDewy, runDewy } from "../support/dewy.ts";
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

/** Runs an agent that dies at a step, until it has; `upTo` brings it there. */
async function dieAt(
  step: string,
  args: readonly string[],
  upTo: () => Promise<unknown> = async () => undefined,
): Promise<void> {
  const child = Bun.spawn([process.execPath, "test/support/dying-agent.ts", step, ...args], {
    stdio: ["ignore", "inherit", "ignore"],
  });
  const brought = upTo();
  await child.exited;
  // It died in the middle of its answer.
  await brought.catch(() => undefined);
  expect(child.signalCode).toBe("SIGKILL");
}

const view = (host: TestHost) =>
  ask(host.root, { kind: "view" }, {}, { signal: AbortSignal.timeout(20_000) }).catch(() => null);

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

  const way = [
    "--min-uptime",
    "200ms",
    "--soak",
    "10m",
    "--before-deploy-hook",
    "true",
    "--after-deploy-hook",
    "true",
  ];
  const args = (host: TestHost) => [
    "server",
    ...host.flags(),
    ...way,
    "--port",
    `${host.port}`,
    "--",
    ...demoCommand,
  ];

  /** v2.0.0 has replaced v1.0.0, and the agent that did so is dead. */
  async function movedOn(host: TestHost): Promise<void> {
    host.publish("v1.0.0");
    const first = host.start(args(host));
    await first.logged("Deploy done", { tag: "v1.0.0" });
    host.publish("v2.0.0");
    await first.logged("Soak begun", { tag: "v2.0.0" });
    await until("reported", () => readdirSync(join(host.registry, "v2.0.0")).length === 2);
    await first.stop("SIGKILL");
  }

  const rollBack = (host: TestHost) =>
    until("an agent has taken the order", async () => {
      const order = { kind: "rollback", tag: null } as const;
      return ask(host.root, { kind: "order", order }, {}, { signal: AbortSignal.timeout(20_000) }).catch(
        (error: DewyError) => error.code !== "no-agent" && error,
      );
    });

  test.each([...deploySteps])(
    'at step "%s" of a rollback: one version or the other, whole, and it holds',
    async (step) => {
      await using host = new TestHost();
      await movedOn(host);
      await dieAt(step, args(host), () => rollBack(host));
      expectWholeCurrent(host);
      expect(await host.ask()).not.toBe("");
      const next = host.start(args(host));
      await next.logged("Deploy skipped");
      expect(host.current()).toBe(step === "committed" ? "v1.0.0" : "v2.0.0");
      if (step !== "committed") await rollBack(host);
      await host.serves("v1.0.0");
      await next.logged("Deploy skipped", { reason: "held", tag: "v2.0.0" });
      expect(
        host.history().filter(({ tag, fromTag }) => tag === "v1.0.0" && fromTag === "v2.0.0"),
      ).toHaveLength(1);
      expect(await next.stop()).toBe(0);
      expect(next.errors()).toEqual([]);
    },
    120_000,
  );

  test.each([...deploySteps])(
    'at step "%s" of going back: the next start serves the good version',
    async (step) => {
      await using host = new TestHost();
      await movedOn(host);
      await dieAt(step, args(host), async () => {
        await until("an agent has begun", () => isLocked(join(host.root, ".dewy/lock")));
        await until("it knows the app", async () => (await view(host))?.app.kind === "serving");
        process.kill(Number((await host.serves("v2.0.0")).split(" ")[2]), "SIGKILL");
      });
      expectWholeCurrent(host);
      const next = host.start(args(host));
      await host.serves("v1.0.0");
      await next.logged("Deploy skipped", { reason: "quarantined", tag: "v2.0.0" });
      await until("it is in the history", () =>
        host.history().some(({ result }) => result === "rolled-back"),
      );
      expectWholeCurrent(host);
      expect(host.state().quarantine).toMatchObject([
        { tag: "v2.0.0", reason: expect.stringContaining("soak") },
      ]);
      expect(await next.stop()).toBe(0);
      expect(host.history().filter(({ result }) => result === "rolled-back")).toHaveLength(1);
    },
    120_000,
  );

  const appPid = async (host: TestHost) => Number((await host.serves("v2.0.0")).split(" ")[2]);

  async function appDies(host: TestHost): Promise<void> {
    const pid = await appPid(host);
    process.kill(pid, "SIGKILL");
    await until("the app is gone", () => groupIsGone(pid));
  }

  const goneBack = (host: TestHost) => host.history().filter(({ result }) => result === "rolled-back");

  test("in a soak: an app that dies before the next start is left for the version before, once", async () => {
    await using host = new TestHost();
    await movedOn(host);
    await appDies(host);
    const next = host.start(args(host));
    await host.serves("v1.0.0");
    await next.logged("Deploy skipped", { reason: "quarantined", tag: "v2.0.0" });
    await until("it is in the history", () => goneBack(host).length === 1);
    const reason = "it died in its soak: the server ended while no agent watched it";
    expect(goneBack(host)).toMatchObject([{ tag: "v1.0.0", cause: "retreat", error: reason }]);
    expect(host.state().quarantine).toMatchObject([{ tag: "v2.0.0", reason }]);
    await next.stop("SIGKILL");
    const again = host.start(args(host));
    await again.logged("Deploy skipped", { reason: "quarantined", tag: "v2.0.0" });
    await host.serves("v1.0.0");
    expect(await again.stop()).toBe(0);
    expect(again.errors()).toEqual([]);
    expect(goneBack(host)).toHaveLength(1);
  }, 60_000);

  test.each<[string, (host: TestHost, agent: RunningDewy) => Promise<Record<string, string>>]>([
    [
      "dewy was told to stop, with the app",
      async (host, agent) => {
        const pid = await appPid(host);
        const stopped = agent.stop();
        process.kill(pid, "SIGTERM");
        expect(await stopped).toBe(0);
        return {};
      },
    ],
    [
      "the unit was killed as a whole and started anew",
      async (host, agent) => {
        await agent.stop("SIGKILL");
        await appDies(host);
        return { INVOCATION_ID: "another" };
      },
    ],
  ])(
    "in a soak: an app that ended because %s has not crashed",
    async (_, end) => {
      await using host = new TestHost();
      await movedOn(host);
      const agent = host.start(args(host));
      await agent.logged("Deploy skipped", { reason: "current", tag: "v2.0.0" });
      const next = host.start(args(host), await end(host, agent));
      await next.logged("Deploy skipped", { reason: "current", tag: "v2.0.0" });
      await host.serves("v2.0.0");
      expect(await next.stop()).toBe(0);
      expect(next.errors()).toEqual([]);
      expect(goneBack(host)).toEqual([]);
      expect(host.state().quarantine).toEqual([]);
    },
    60_000,
  );

  test("in a soak: an app that dies with nothing left to go back to stays, and says why", async () => {
    await using host = new TestHost();
    await movedOn(host);
    host.unpublish("v1.0.0");
    rmSync(join(host.root, ".dewy/cache"), { recursive: true });
    const [oldest = ""] = readdirSync(join(host.root, "releases")).sort();
    rmSync(join(host.root, "releases", oldest), { recursive: true });
    await appDies(host);
    const next = host.start(args(host));
    await next.logged("Release should be left, and can't be", { tag: "v2.0.0" });
    await host.serves("v2.0.0");
    const status = await runDewy(["status", "--root", host.root]);
    expect(status.stdout).toMatch(
      /^Stranded +to be left since .*: it died in its soak: the server ended while/m,
    );
    expect(status.stdout).toMatch(/^ +it can't be: v1.0.0, which was before it, can't be had any more: /m);
    const { stdout } = await runDewy(["history", "--root", host.root]);
    expect(stdout.split("\n")[1]).toMatch(/ v1\.0\.0 +v2\.0\.0 +failed +going back .*it died in its soak/);
    expect(JSON.parse((await runDewy(["status", "--json", "--root", host.root])).stdout)).toMatchObject({
      failure: null,
      stranded: { reason: expect.stringContaining("it died in its soak") },
    });
    expect(await next.stop()).toBe(0);
    expect(host.state().quarantine).toEqual([]);
  }, 60_000);

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
