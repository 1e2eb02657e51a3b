import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dewyBinary, type RunningDewy, runDewy } from "../support/dewy.ts";
import { dyingApp, startCommand, TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

/** One agent through its life, asked by the commands as a person and as a script would. */
describe("an operator", () => {
  let host: TestHost;
  let agent: RunningDewy;
  const dewy = (...args: string[]) => runDewy([...args, "--root", host.root]);
  const json = async (...args: string[]) => JSON.parse((await dewy(...args, "--json")).stdout);
  /** As long as it is there, a deploy waits. */
  const stop = () => join(host.scratch, "stop");

  /** An order that is under way, and what it has said so far. */
  function ordering(...args: string[]) {
    const child = Bun.spawn([dewyBinary, ...args, "--root", host.root], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    const end = async () => {
      for await (const chunk of child.stderr) stderr += Buffer.from(chunk).toString();
      return { code: await child.exited, stderr };
    };
    return { said: () => stderr, done: end() };
  }

  beforeAll(async () => {
    host = new TestHost();
    host.publish("v1.0.0");
    const hook = `while [ -e '${stop()}' ]; do sleep 0.05; done`;
    agent = host.server(["--before-deploy-hook", hook], startCommand);
    await agent.logged("Deploy done");
    host.publish("v1.1.0");
    await host.serves("v1.1.0");
    await until("the second deploy is recorded", () => host.history().length === 2);
  }, 120_000);

  afterAll(() => host[Symbol.asyncDispose]());

  test("sees what runs", async () => {
    const { code, stdout, stderr } = await dewy("status");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toStartWith("State      serving v1.1.0\n");
    expect(stdout).toContain(`Agent      dewy server v0.1.0, pid ${agent.pid}, since `);
    expect(stdout).toMatch(/^Current {4}v1\.1\.0 \(\d{8}T\d{6}Z\), since \d{4}-.* ago\)$/m);
    expect(stdout).toMatch(/^Previous {3}v1\.0\.0 /m);
    expect(stdout).toMatch(/^Last poll {2}.* v1\.1\.0 is the newest$/m);
    expect(await json("status")).toMatchObject({
      root: host.root,
      health: "well",
      command: "server",
      version: "v0.1.0",
      app: { kind: "serving" },
      current: { tag: "v1.1.0" },
      previous: { tag: "v1.0.0" },
      lastPoll: { ok: true, newest: "v1.1.0" },
      hold: null,
      quarantine: [],
    });
  });

  test("sees what was deployed", async () => {
    const { stdout } = await dewy("history", "-n", "1");
    expect(stdout.split("\n")).toHaveLength(3);
    expect(stdout).toMatch(/v1\.1\.0 +v1\.0\.0 +deployed/);
    expect((await json("history")).deploys.map(({ tag }: { tag: string }) => tag)).toEqual([
      "v1.1.0",
      "v1.0.0",
    ]);
  });

  test("learns what a check would do", async () => {
    const { code, stdout } = await dewy("check");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Newest {5}v1\.1\.0\nCurrent {4}v1\.1\.0\nDeploy {5}no: /);
    expect(await json("check")).toMatchObject({ newest: "v1.1.0", wouldDeploy: false, notBefore: null });
  });

  test("goes back, and stays there until resumed", async () => {
    const { code, stdout, stderr } = await dewy("rollback");
    expect(code).toBe(0);
    expect(stdout).toContain("v1.0.0");
    expect(stderr).toMatch(/^ +\d+\.\ds {2}\S/m);
    expect(await host.serves("v1.0.0")).toStartWith("v1.0.0");
    expect((await dewy("status")).stdout).toMatch(
      /^Held {7}after a rollback, until a release newer than v1\.1\.0 comes/m,
    );
    expect((await json("check")).wouldDeploy).toBe(false);
    // Nothing older is kept: once more it goes on again, and says so.
    expect((await dewy("rollback")).stdout).toStartWith("Rolled back: v1.0.0 → v1.1.0");
    expect((await dewy("rollback")).stdout).toStartWith("Rolled back: v1.1.0 → v1.0.0");
    expect((await dewy("resume")).code).toBe(0);
    await host.serves("v1.1.0");
    await until("the deploy is recorded", () => host.state().current?.tag === "v1.1.0");
  }, 120_000);

  test("holds for a reason and a time", async () => {
    const held = await dewy("hold", "--until", "2h", "--reason", "incident 42");
    expect(held.code).toBe(0);
    // What is under way just then is said behind it.
    expect(held.stdout).toMatch(
      /^Held at v1\.1\.0 until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(in (2h|1h 59m)\)[.\n]/,
    );
    expect((await json("hold", "--until", "2h", "--reason", "incident 42")).message).toMatch(
      / until \d{4}-\d\d-\d\dT[\d:.]+Z/,
    );
    const { stdout } = await dewy("status");
    expect(stdout).toMatch(/^Held {7}by an operator until .*\(in (2h|1h 59m)\): incident 42; since /m);
    expect((await json("status")).hold).toMatchObject({ reason: "incident 42", left: null });
    expect((await dewy("resume")).code).toBe(0);
    expect((await json("status")).hold).toBeNull();
  });

  test("deploys a release by name", async () => {
    const { code, stdout } = await dewy("deploy", "v1.0.0");
    expect(code).toBe(0);
    expect(stdout).toContain("v1.0.0");
    await host.serves("v1.0.0");
    const missing = await dewy("deploy", "v9.9.9");
    expect(missing.code).toBe(2);
    expect(missing.stderr).toContain("v9.9.9");
    expect(missing.stderr).toContain("Hint: ");
    expect((await json("deploy", "v9.9.9")).error).toMatchObject({ code: "not-found" });
    expect((await dewy("resume")).code).toBe(0);
    await host.serves("v1.1.0");
    await until("the deploy is recorded", () => host.state().current?.tag === "v1.1.0");
  }, 120_000);

  test("restarts the app", async () => {
    const before = await host.ask();
    expect(await dewy("restart")).toMatchObject({ code: 0 });
    await until("another process answers", async () => {
      const answer = await host.ask();
      return answer.startsWith("v1.1.0 ") && answer !== before;
    });
  });

  test("is told why a reload is refused", async () => {
    const { code, stderr } = await dewy("reload");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Error: .*configuration file/m);
  });

  test("reads the agent's records, below its level too", async () => {
    const { code, stdout } = await dewy("logs", "-n", "1000");
    expect(code).toBe(0);
    expect(stdout).toMatch(/level=INFO msg="Dewy started"/);
    expect(stdout).toMatch(/level=DEBUG /);
    expect((await dewy("logs", "-n", "2")).stdout.trim().split("\n")).toHaveLength(2);
    const records = (await dewy("logs", "--json", "--level", "info")).stdout.trim().split("\n");
    for (const record of records) expect(JSON.parse(record).level).not.toBe("DEBUG");
  });

  test("lifts a quarantine", async () => {
    host.publish("v1.2.0", dyingApp("v1.2.0", 3));
    await until("the release is given up", () => host.state().quarantine.length === 1);
    const { code, stdout } = await dewy("status");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Quarantine v1\.2\.0, since .*: .*code 3/m);
    host.unpublish("v1.2.0");
    expect((await dewy("retry")).code).toBe(0);
    await until("the quarantine is empty", () => host.state().quarantine.length === 0);
  }, 120_000);

  test("orders one thing after the other", async () => {
    writeFileSync(stop(), "");
    const first = dewy("rollback");
    await until("it is under way", async () => /^Busy +a rollback/m.test((await dewy("status")).stdout));
    const others = [ordering("restart"), ordering("deploy", "v1.1.0")];
    await until("both wait", () => others.every(({ said }) => said().includes("Waiting for "))).finally(() =>
      rmSync(stop()),
    );
    const results = await Promise.all([first, ...others.map(({ done }) => done)]);
    for (const { code, stderr } of results) expect({ code, stderr }).toMatchObject({ code: 0 });
    expect((await dewy("resume")).code).toBe(0);
  }, 120_000);

  test("sees that an agent hangs", async () => {
    process.kill(agent.pid, "SIGSTOP");
    try {
      const { code, stdout } = await dewy("status");
      expect(code).toBe(4);
      expect(stdout).toStartWith("State      THE AGENT DOES NOT ANSWER");
      expect(stdout).toContain("has said nothing for 5s");
    } finally {
      process.kill(agent.pid, "SIGCONT");
    }
  }, 120_000);

  test("sees what was there when the agent is gone, and can still ask and order what needs none", async () => {
    await agent.stop("SIGTERM");
    expect(existsSync(join(host.root, ".dewy/dewy.sock"))).toBe(false);
    const { code, stdout } = await dewy("status");
    expect(code).toBe(4);
    expect(stdout).toMatch(/^State {6}NO AGENT runs here; v1\.\d\.0 was deployed last\n/);
    expect((await dewy("history")).code).toBe(0);
    host.publish("v3.0.0");
    expect(await json("check")).toMatchObject({ newest: "v3.0.0", wouldDeploy: true });
    expect(existsSync(join(host.root, ".dewy/dewy.sock"))).toBe(false);
    const refused = await dewy("rollback");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`no agent runs in ${host.root}`);
    expect((await dewy("retry")).stdout).toBe("The quarantine is lifted when an agent is started.\n");
  });
});
