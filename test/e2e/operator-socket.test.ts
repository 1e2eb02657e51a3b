import { expect, test } from "bun:test";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { dewyBinary, runDewy } from "../support/dewy.ts";
import { TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

test("a killed agent's socket is no hindrance to the next one", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const first = host.assets();
  await first.logged("Deploy done");
  await first.stop("SIGKILL");
  expect(existsSync(join(host.root, ".dewy/dewy.sock"))).toBe(true);
  const second = host.assets();
  await second.logged("Dewy started");
  await until("it answers", async () => (await runDewy(["status", "--root", host.root])).code === 0);
  expect(second.errors()).toEqual([]);
});

test("an agent whose socket can't be made serves all the same", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  mkdirSync(join(host.root, ".dewy/dewy.sock/in the way"), { recursive: true });
  const agent = host.assets();
  await agent.logged("Operators can't reach this agent");
  await agent.logged("Deploy done");
  const { code, stdout } = await runDewy(["status", "--root", host.root]);
  expect(code).toBe(4);
  expect(stdout).toContain("DOES NOT ANSWER");
});

test("an agent whose lock and socket are removed makes them again", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const agent = host.assets();
  await agent.logged("Deploy done");
  rmSync(join(host.root, ".dewy/lock"));
  await agent.logged("The lock was removed; it is taken anew");
  const second = host.assets();
  await until("it is refused", () => !second.running);
  expect(second.output).toContain("another dewy runs in this directory");
  rmSync(join(host.root, ".dewy/dewy.sock"));
  await agent.logged("The control socket was removed; it is made again");
  expect(await runDewy(["hold", "--root", host.root])).toMatchObject({ code: 0 });
  expect(agent.errors()).toEqual([]);
}, 60_000);

test.each(["by itself", "when it is stopped"])(
  "an agent that another one came in beside leaves it the app: %s",
  async (how) => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const first = host.server();
    const served = await host.serves("v1.0.0");
    // Its next check is over, too: it holds no lock of the registry's while it stands still, and notices nothing.
    await first.logged("Deploy skipped");
    if (how === "when it is stopped") process.kill(first.pid, "SIGSTOP");
    rmSync(join(host.root, ".dewy/lock"));
    const second = host.server();
    if (how === "when it is stopped") {
      await second.logged("Deploy skipped");
      process.kill(first.pid, "SIGTERM");
      process.kill(first.pid, "SIGCONT");
    }
    await first.logged("This agent ends and leaves the app to another one");
    await until("it has ended", () => !first.running);
    await second.logged("Deploy skipped");
    expect(second.running).toBe(true);
    expect(await host.ask()).toBe(served);
  },
  120_000,
);

test("who is another user of the host is refused", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const agent = host.assets();
  await agent.logged("Deploy done");
  const through = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  Bun.spawnSync(["chmod", "755", host.scratch]);
  const asNobody = (...args: string[]) => {
    const child = Bun.spawnSync([...through, dewyBinary, ...args, "--root", host.root], { cwd: "/" });
    return { code: child.exitCode, out: child.stdout.toString(), said: child.stderr.toString() };
  };
  const refusal = [
    `Error: the agent of ${host.root} is root's; this user (nobody) may not ask it`,
    "Hint: run it with sudo",
    "",
  ].join("\n");
  for (const command of ["status", "check", "rollback", "retry", "hold", "logs", "restart"]) {
    expect(asNobody(command)).toEqual({ code: 3, out: "", said: refusal });
  }
  expect(asNobody("history")).toMatchObject({ code: 0, out: expect.stringContaining("deployed") });
  Bun.spawnSync(["chmod", "700", host.root]);
  for (const command of ["status", "history", "logs"]) {
    expect(asNobody(command)).toMatchObject({
      code: 3,
      said: expect.stringContaining(`Error: this user (nobody) may not look into ${host.root}\n`),
    });
  }
  Bun.spawnSync(["chmod", "755", host.root]);
  expect(agent.running).toBe(true);
}, 60_000);
