import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

  test("who is another user of the host is refused", async () => {
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
  }, 30_000);

  test("is told when an answer can't be written, and not when its reader has seen enough", async () => {
    const sh = (line: string) => {
      const child = Bun.spawnSync(["bash", "-c", line, dewyBinary, host.root]);
      return { code: child.exitCode, out: child.stdout.toString(), said: child.stderr.toString() };
    };
    for (const command of [
      "status",
      "history",
      "logs",
      "status --json",
      "config show assets --json --registry ghr://o/r",
    ]) {
      const { code, said } = sh(`"$0" ${command} --root "$1" > /dev/full`);
      expect({ command, code }).toEqual({ command, code: 1 });
      expect(said).toStartWith("Error: the output can't be written: ENOSPC");
    }
    expect(sh(`"$0" --help > /dev/full`).code).toBe(1);
    expect(sh(`"$0" --version > /dev/full`).code).toBe(1);
    const closed = sh(`set -o pipefail; "$0" logs -n 1000 --root "$1" | true`);
    expect(closed).toEqual({ code: 0, out: "", said: "" });
    // The agent checks every second, and says so.
    expect(sh(`set -o pipefail; "$0" logs --follow --root "$1" | head -n 1`)).toMatchObject({
      code: 0,
      said: "",
    });
  });

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

test("a host with nothing to go back to refuses, and says what would do", async () => {
  await using host = new TestHost();
  const agent = host.assets();
  await agent.logged("Dewy started");
  await until("it answers", async () => (await runDewy(["status", "--root", host.root])).code === 0);
  expect(await runDewy(["restart", "--root", host.root])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Error: nothing is deployed here yet\n"),
  });
  host.publish("v1.0.0");
  await agent.logged("Deploy done");
  const { code, stdout, stderr } = await runDewy(["rollback", "--root", host.root]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toEndWith(
    "Error: no earlier release is kept on this host\nHint: name one of the registry: `dewy rollback TAG`\n",
  );
}, 30_000);

test("who interrupts a deploy leaves it to the agent", async () => {
  await using host = new TestHost();
  const go = join(host.scratch, "go");
  writeFileSync(go, "");
  host.publish("v1.0.0");
  const agent = host.assets(["--before-deploy-hook", `until [ -e '${go}' ]; do sleep 0.05; done`]);
  await agent.logged("Deploy done");
  expect((await runDewy(["hold", "--root", host.root])).code).toBe(0);
  rmSync(go);
  host.publish("v1.1.0");
  const deploy = Bun.spawn([dewyBinary, "deploy", "v1.1.0", "--root", host.root], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = new Response(deploy.stderr).text();
  const busy = await until("the deploy is under way", async () => {
    const { stdout } = await runDewy(["status", "--root", host.root]);
    return /^Busy .*$/m.exec(stdout)?.[0];
  });
  expect(busy).toContain("v1.1.0");
  deploy.kill("SIGINT");
  expect(await deploy.exited).toBe(130);
  expect(await said).toContain("what the agent has begun goes on");
  expect(host.current()).toBe("v1.0.0");
  writeFileSync(go, "");
  await until("the deploy is done", () => host.current() === "v1.1.0");
});

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
  const { mkdirSync } = await import("node:fs");
  mkdirSync(join(host.root, ".dewy/dewy.sock/in the way"), { recursive: true });
  const agent = host.assets();
  await agent.logged("Operators can't reach this agent");
  await agent.logged("Deploy done");
  const { code, stdout } = await runDewy(["status", "--root", host.root]);
  expect(code).toBe(4);
  expect(stdout).toContain("DOES NOT ANSWER");
});

test("who follows the records is told when the agent ends", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const agent = host.assets();
  await agent.logged("Deploy done");
  const follow = Bun.spawn([dewyBinary, "logs", "--follow", "--root", host.root], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = new Response(follow.stderr).text();
  let shown = "";
  const reading = (async () => {
    for await (const chunk of follow.stdout) shown += Buffer.from(chunk).toString();
  })();
  await until("the first records are shown", () => shown.includes('msg="Dewy started"'));
  host.publish("v1.1.0");
  await until("those of a deploy are shown", () => shown.includes("tag=v1.1.0"));
  await agent.stop("SIGKILL");
  expect(await follow.exited).toBe(0);
  expect(await said).toBe(`The agent (pid ${agent.pid}) has ended.\n`);
  await reading;
}, 60_000);

test("a check without an agent is by the file that the next agent would read", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const toml = (lines: readonly string[]) => writeFileSync(join(host.root, "dewy.toml"), lines.join("\n"));
  const check = async (...args: string[]) => runDewy(["check", ...args, "--json"], { cwd: host.scratch });
  expect(JSON.parse((await check("--root", host.root)).stdout).error.message).toContain("nobody knows");
  toml([`registry = "file://\${REGISTRY}"`, 'min-age = "2h"', 'interval = "30s"']);
  const env = { REGISTRY: host.registry };
  const asked = await runDewy(["check", "--root", host.root, "--json"], { env });
  expect(JSON.parse(asked.stdout)).toMatchObject({
    newest: "v1.0.0",
    wouldDeploy: false,
    reason: expect.stringContaining("--min-age"),
    source: join(host.root, "dewy.toml"),
  });
  const seen: (string | null)[] = [];
  await using github = serveOnLoopback((request) => {
    seen.push(request.headers.get("Authorization"));
    return new Response("[]", { headers: { "Content-Type": "application/json" } });
  });
  const api = `http://127.0.0.1:${github.port}`;
  toml([
    'registry = "ghr://owner/repo"',
    "[env]",
    'GH_TOKEN = "plantedFileToken"',
    `GITHUB_API_URL = "${api}"`,
  ]);
  await check("--root", host.root);
  expect(seen[0]).toContain("plantedFileToken");
  const other = join(host.scratch, "other.toml");
  writeFileSync(other, `root = "${host.root}"\nregistry = "file://${host.registry}"\n`);
  const { stdout, code } = await runDewy(["check", "--config", other]);
  expect(code).toBe(0);
  expect(stdout).toEndWith(
    `Current    nothing deployed\nDeploy     yes: v1.0.0 is to be deployed\nAsked      from here, as ${other} says\n`,
  );
  // The agent is where the file says.
  expect(JSON.parse((await check("--config", other)).stdout)).toMatchObject({
    root: host.root,
    source: other,
  });
  toml(['registry = "nonsense"', 'min-age = "99999999h"']);
  const bad = await runDewy(["check", "--root", host.root]);
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain(`${join(host.root, "dewy.toml")}: registry`);
  expect(bad.stderr).toContain("min-age");
}, 30_000);

function serveOnLoopback(fetch: (request: Request) => Response) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) };
}

/** In a process namespace of its own: an order to all must not reach agents of whoever works on this machine. */
test("--all means every agent of the host", async () => {
  await using one = new TestHost();
  await using two = new TestHost();
  for (const host of [one, two]) host.publish("v1.0.0");
  const script = join(one.scratch, "all.sh");
  const start = (host: TestHost) =>
    `'${dewyBinary}' assets --root '${host.root}' --registry 'file://${host.registry}' --interval 1s 2>/dev/null &`;
  const wait = (host: TestHost) =>
    `until '${dewyBinary}' status --root '${host.root}' 2>/dev/null | grep -q 'v1.0.0 is in place'; do sleep 0.1; done`;
  writeFileSync(
    script,
    [
      start(one),
      start(two),
      wait(one),
      wait(two),
      `'${dewyBinary}' status --all > '${one.scratch}/screen'; echo $? > '${one.scratch}/code'`,
      `'${dewyBinary}' hold --all --reason freeze --json > '${one.scratch}/hold.json'`,
      `'${dewyBinary}' status --all --json > '${one.scratch}/status.json'`,
      "kill %1 %2; wait",
      `'${dewyBinary}' status --all 2> '${one.scratch}/none'; echo $? > '${one.scratch}/none-code'`,
    ].join("\n"),
  );
  const child = Bun.spawn(["unshare", "--fork", "--pid", "--mount-proc", "bash", script], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  expect(await child.exited).toBe(0);
  const read = (name: string) => readFileSync(join(one.scratch, name), "utf8");
  const roots = [one.root, two.root].sort();
  expect(
    read("screen")
      .split("\n")
      .filter((line) => line.startsWith("== ")),
  ).toEqual(roots.map((root) => `== ${root}`));
  expect(read("code")).toBe("0\n");
  expect(JSON.parse(read("hold.json")).map(({ root }: { root: string }) => root)).toEqual(roots);
  expect(JSON.parse(read("status.json"))).toMatchObject(
    roots.map((root) => ({ root, hold: { reason: "freeze" } })),
  );
  expect(read("none")).toContain("Error: no agent of this host can be seen");
  expect(read("none-code")).toBe("1\n");
  rmSync(script);
}, 120_000);
