import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openListener } from "../../src/supervisor/listener.ts";
import { processGroup, processStat } from "../../src/util/procfs.ts";
import { runDewy } from "../support/dewy.ts";
import { freePort } from "../support/free-port.ts";
import { demoCommand, TestHost } from "../support/host.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const pidOf = (answer: string) => Number(answer.split(" ")[2]);
const isAlive = (pid: number) => (processStat(pid)?.state ?? "Z") !== "Z";

describe("signals", () => {
  test.each([
    ["SIGTERM", "terminated"],
    ["SIGINT", "interrupt"],
    ["SIGQUIT", "quit"],
  ] as const)(
    "%s stops the app first, then the agent, and leaves no child and no port",
    async (signal, name) => {
      await using host = new TestHost();
      host.publish("v1.0.0");
      const agent = host.server();
      const pid = pidOf(await host.serves("v1.0.0"));
      await agent.logged("Start notification");
      expect(await agent.stop(signal)).toBe(0);
      expect(isAlive(pid)).toBe(false);
      expect(await host.ask()).toBe("");
      await agent.logged("Shutdown notification", { message: `Stop receiving by ${name} signal` });
      expect(agent.errors()).toEqual([]);
    },
    120_000,
  );

  test("SIGTERM while a hook runs ends the deploy before the agent", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets([
      "--before-deploy-hook",
      "touch hooking; trap 'sleep 1; exit 1' TERM; sleep 100",
    ]);
    await until("the hook runs", () => existsSync(join(host.root, "hooking")));
    expect(await agent.stop("SIGTERM")).toBe(0);
    await agent.logged("Shutdown notification", { message: "Stop receiving by terminated signal" });
    expect(existsSync(join(host.root, "current"))).toBe(false);
  }, 120_000);

  test("SIGTERM while the hook of an order runs ends that before the agent, and does no other", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const hook = "test $DEWY_TAG = v1.0.0 || { touch hooking; sleep 100; }";
    const agent = host.assets(["--before-deploy-hook", hook]);
    await agent.logged("Deploy done", { tag: "v1.0.0" });
    expect(await runDewy(["hold", "--root", host.root])).toMatchObject({ code: 0 });
    for (const tag of ["v1.1.0", "v1.2.0"]) host.publish(tag);
    const deploy = (tag: string) => runDewy(["deploy", tag, "--root", host.root]);
    const first = deploy("v1.1.0");
    await until("the hook runs", () => existsSync(join(host.root, "hooking")));
    const second = deploy("v1.2.0");
    expect(await agent.stop("SIGTERM")).toBe(0);
    await agent.logged("Shutdown notification");
    expect((await first).code).not.toBe(0);
    expect((await second).code).not.toBe(0);
    expect(host.history().map(({ tag, result }) => [tag, result])).toEqual([["v1.0.0", "deployed"]]);
    expect(host.current()).toBe("v1.0.0");
  }, 120_000);

  test("SIGHUP while the app is being stopped does not end the agent before it", async () => {
    await using host = new TestHost();
    const script = "#!/bin/sh\ntrap 'echo STOPPING >&2; sleep 1; exit 0' TERM\nwhile :; do sleep 0.1; done\n";
    host.publish("v1.0.0", { "app.sh": script, VERSION: "v1.0.0\n" });
    const agent = host.server([], ["./current/app.sh"]);
    await agent.logged("Start notification");
    process.kill(agent.pid, "SIGTERM");
    await until("the app is told", () => agent.output.includes("STOPPING"));
    process.kill(agent.pid, "SIGHUP");
    process.kill(agent.pid, "SIGUSR1");
    expect(await agent.stop("SIGCONT")).toBe(0);
    expect(JSON.parse(readFileSync(join(host.root, ".dewy/supervisor.json"), "utf8")).generations).toEqual(
      [],
    );
  }, 120_000);

  test("SIGHUP restarts the app, SIGUSR1 too and tells; no request is lost", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.server();
    await host.serves("v1.0.0");
    await agent.logged("Start notification");
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    process.kill(agent.pid, "SIGHUP");
    await until("generation 2", async () => (await host.ask()).startsWith("v1.0.0 2"));
    process.kill(agent.pid, "SIGUSR1");
    await agent.logged("Restart notification", { message: "Restarted receiving by SIGUSR1 signal" });
    await until("generation 3", async () => (await host.ask()).startsWith("v1.0.0 3"));
    expect((await load.stop()).failures).toEqual([]);
  }, 120_000);

  test("an app that ignores SIGTERM is killed after --stop-timeout, with all its children", async () => {
    await using host = new TestHost();
    const script = "#!/bin/sh\ntrap '' TERM\nsleep 1000 &\nsleep 1000 &\nwhile :; do sleep 1; done\n";
    host.publish("v1.0.0", { "app.sh": script, VERSION: "v1.0.0\n" });
    const agent = host.start([
      "server",
      ...host.flags(),
      "--min-uptime",
      "200ms",
      "--stop-timeout",
      "500ms",
      "--",
      "./current/app.sh",
    ]);
    await agent.logged("Start notification");
    const record = JSON.parse(readFileSync(join(host.root, ".dewy/supervisor.json"), "utf8"));
    const { pid } = record.generations[0];
    await until("its children are there", () => processGroup(pid).length >= 3);
    expect(await agent.stop()).toBe(0);
    expect(processGroup(pid)).toEqual([]);
  }, 120_000);
});

describe("the app's process", () => {
  test("that dies on its own is noticed and started again", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.server();
    const pid = pidOf(await host.serves("v1.0.0"));
    await agent.logged("Start notification");
    process.kill(pid, "SIGKILL");
    await agent.logged("Server died", { error: "the server was killed by SIGKILL" });
    expect(pidOf(await host.serves("v1.0.0"))).not.toBe(pid);
  }, 120_000);

  test("inherits every port in order, a unix socket too, by both protocols; its output passes through", async () => {
    await using host = new TestHost();
    const second = freePort();
    const socket = join(host.scratch, "app.sock");
    const app = `#!/bin/sh
echo "PROTOCOL $SERVER_STARTER_PORT fds=$LISTEN_FDS names=$LISTEN_FDNAMES pid=$([ "$LISTEN_PID" = $$ ] && echo mine)" >&2
exec ${process.execPath} ./current/app.ts
`;
    host.publish("v1.0.0", {
      "app.sh": app,
      "app.ts": readFileSync("scripts/demo-app/app.ts", "utf8"),
      VERSION: "v1.0.0\n",
    });
    const agent = host.server(["--port", `${second}`, "--port", `unix:${socket}`], ["./current/app.sh"]);
    await host.serves("v1.0.0");
    const [low, high] = [host.port, second].sort((a, b) => a - b);
    const line = `PROTOCOL ${low}=3;${high}=4;${socket}=5 fds=3 names=${low}:${high}:${socket} pid=mine`;
    await until(line, () => agent.output.includes(line));
    expect(await host.ask(second)).toStartWith("v1.0.0");
    const overUnix = await fetch("http://app/", { unix: socket });
    expect(await overUnix.text()).toStartWith("v1.0.0");
    const overIpv6 = await fetch(`http://[::1]:${host.port}/`);
    expect(await overIpv6.text()).toStartWith("v1.0.0");
    await agent.logged("Start notification");
    await agent.stop();
    expect(existsSync(socket)).toBe(false);
  }, 120_000);

  test("is renewed every AUTO_RESTART_INTERVAL where ENABLE_AUTO_RESTART is on, and reads ENVDIR at each start", async () => {
    await using host = new TestHost();
    const envDir = join(host.scratch, "env");
    mkdirSync(envDir);
    writeFileSync(join(envDir, "GREETING"), "hello\n");
    host.publish("v1.0.0", {
      "app.sh": "#!/bin/sh\necho GREETING=$GREETING $SERVER_STARTER_GENERATION >&2\nexec sleep 1000\n",
    });
    const agent = host.start(["server", ...host.flags(), "--min-uptime", "100ms", "--", "./current/app.sh"], {
      ENABLE_AUTO_RESTART: "1",
      AUTO_RESTART_INTERVAL: "1",
      KILL_OLD_DELAY: "0",
      ENVDIR: envDir,
    });
    await until("generation 1", () => agent.output.includes("GREETING=hello 1"));
    writeFileSync(join(envDir, "GREETING"), "goodbye\n");
    await until("a later generation", () => /GREETING=goodbye \d/.test(agent.output));
  }, 120_000);

  test("may be a worker without a port", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", { "app.sh": "#!/bin/sh\nexec sleep 1000\n" });
    const agent = host.start(["server", ...host.flags(), "--min-uptime", "200ms", "--", "./current/app.sh"]);
    const { message } = await agent.logged("Start notification");
    expect(message).toStartWith("Server started for v1.0.0 without port");
  }, 120_000);

  test("goes on serving when its agent is killed; the next one owns the port and deploys without loss", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const first = host.server();
    const before = await host.serves("v1.0.0");
    await first.logged("Start notification");
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    await first.stop("SIGKILL");
    const next = host.server();
    await next.logged("Adopt running server", { pid: pidOf(before) });
    expect(await host.ask()).toBe(before);
    host.publish("v1.1.0");
    await host.serves("v1.1.0");
    await until("the old generation is gone", () => !isAlive(pidOf(before)));
    expect((await load.stop()).failures).toEqual([]);
    expect(await next.stop()).toBe(0);
    expect(await host.ask()).toBe("");
  }, 120_000);
});

describe("a directory of the Go original", () => {
  const layOut = (host: TestHost, release: string) => {
    const directory = join(host.root, "releases", release);
    mkdirSync(directory, { recursive: true });
    const archive = host.publish("v1.0.0");
    Bun.spawnSync(["tar", "xzf", archive, "-C", directory]);
    symlinkSync(directory, join(host.root, "current"));
    const cache = join(host.root, ".dewy/cache");
    mkdirSync(cache, { recursive: true });
    Bun.spawnSync(["cp", "--preserve", archive, join(cache, "v1.0.0--app_linux_amd64.tar.gz")]);
    writeFileSync(join(cache, "current"), "v1.0.0--app_linux_amd64.tar.gz");
  };
  const soon = () => `${new Date(Date.now() + 60_000).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;

  test("with v1 running from it is taken over with no redeploy, and goes on to v2", async () => {
    await using host = new TestHost();
    const release = soon();
    layOut(host, release);
    // The original has ended and left its child with the port.
    const listener = await openListener({ kind: "tcp", host: null, port: host.port });
    const orphan = Bun.spawn([...demoCommand], {
      cwd: host.root,
      stdio: ["ignore", "ignore", "ignore", listener.fd],
      env: { ...process.env, SERVER_STARTER_PORT: `${host.port}=3`, SERVER_STARTER_GENERATION: "1" },
    });
    listener.release();
    const before = await host.serves("v1.0.0");

    const agent = host.server();
    await agent.logged("Adopt running server", { pid: orphan.pid });
    await agent.logged("Deploy skipped", { tag: "v1.0.0", reason: "current" });
    expect(await host.ask()).toBe(before);
    expect(host.history()).toEqual([]);
    host.publish("v2.0.0");
    await host.serves("v2.0.0");
    await agent.logged("Deploy done");
    // What the original needs to start again.
    await until(
      "the key names it",
      () => readFileSync(join(host.root, ".dewy/cache/current"), "utf8") === "v2.0.0--app_linux_amd64.tar.gz",
    );
    expect(existsSync(join(host.root, ".dewy/cache/v2.0.0--app_linux_amd64.tar.gz"))).toBe(true);
    expect(readlinkSync(join(host.root, "current"))).toMatch(/^releases\/\d{8}T\d{6}Z$/);
    expect(agent.errors()).toEqual([]);
    await orphan.exited;
  }, 120_000);

  test("assets: the version in place is not deployed again", async () => {
    await using host = new TestHost();
    layOut(host, soon());
    const agent = host.assets();
    await agent.logged("Deploy skipped", { tag: "v1.0.0", reason: "current" });
    expect(host.history()).toEqual([]);
  }, 120_000);

  test("a key that is ahead of the release (a crash of the original) is not believed", async () => {
    await using host = new TestHost();
    layOut(host, "20240115T103045Z");
    const agent = host.assets();
    await agent.logged("Deploy done", { tag: "v1.0.0" });
  }, 120_000);
});

describe("hooks", () => {
  test("get the deploy's facts, and are logged with their output", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets([
      "--before-deploy-hook",
      "echo before $DEWY_TAG from=$DEWY_PREVIOUS_TAG $DEWY_ARTIFACT $DEWY_COMMAND; echo note >&2",
      "--after-deploy-hook",
      'echo after $(cat "$DEWY_RELEASE_DIR/VERSION") $(cat current/VERSION)',
    ]);
    await agent.logged("Execute hook", {
      stdout: "before v1.0.0 from= app_linux_amd64.tar.gz assets",
      stderr: "note",
      exit_code: 0,
    });
    await agent.logged("Execute hook", { stdout: "after v1.0.0 v1.0.0" });
    host.publish("v1.1.0");
    await agent.logged("Execute hook", { stdout: "before v1.1.0 from=v1.0.0 app_linux_amd64.tar.gz assets" });
  }, 120_000);

  test("may write to /dev/stdout and /dev/stderr", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets(["--before-deploy-hook", "echo out > /dev/stdout; echo err | tee /dev/stderr"]);
    await agent.logged("Execute hook", { stdout: "out\nerr", stderr: "err", exit_code: 0 });
  }, 120_000);

  test("that fail are told, and the deploy goes on", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets(["--before-deploy-hook", "exit 3", "--after-deploy-hook", "exit 4"]);
    await agent.logged("Before deploy hook failure", { error: "command failed with exit code 3" });
    await agent.logged("After deploy hook failure", { exit_code: 4 });
    await agent.logged("Deploy done", { tag: "v1.0.0" });
  }, 120_000);

  test.each(["before", "after"])(
    "with --hook-failure abort a failing %s hook keeps the old version",
    async (which) => {
      await using host = new TestHost();
      host.publish("v1.0.0");
      const agent = host.server([
        "--hook-failure",
        "abort",
        `--${which}-deploy-hook`,
        '[ "$DEWY_TAG" != v2.0.0 ]',
      ]);
      const before = await host.serves("v1.0.0");
      await agent.logged("Start notification");
      host.publish("v2.0.0");
      await agent.logged("Dewy run failure");
      expect(host.current()).toBe("v1.0.0");
      expect(await host.ask()).toBe(before);
      expect(host.state().quarantine).toEqual([]);
    },
    120_000,
  );

  test("that hang are killed at their deadline with what they started", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets(["--before-deploy-hook", "sleep 1000 & sleep 1000", "--hook-timeout", "1s"]);
    await agent.logged("Before deploy hook failure", { error: "the hook was killed at its deadline" });
    await agent.logged("Deploy done", { tag: "v1.0.0" });
  }, 120_000);
});

describe("--once", () => {
  const once = (host: TestHost, ...flags: string[]) =>
    runDewy(["assets", ...host.flags(), "--once", ...flags]);

  test("deploys or finds nothing to do: 0", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    expect((await once(host)).code).toBe(0);
    expect(host.current()).toBe("v1.0.0");
    expect((await once(host)).code).toBe(0);
    expect(host.history()).toHaveLength(1);
  });

  test("server: places the release without starting the app", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const { code } = await runDewy([
      "server",
      ...host.flags(),
      "--port",
      `${host.port}`,
      "--once",
      "--",
      ...demoCommand,
    ]);
    expect(code).toBe(0);
    expect(host.current()).toBe("v1.0.0");
    expect(await host.ask()).toBe("");
  });

  test("fails with the exit code of the failure's class", async () => {
    await using host = new TestHost();
    expect((await once(host, "--keep", "0")).code).toBe(1);
    const gone = await runDewy([
      "assets",
      "--root",
      host.root,
      "--registry",
      `file://${host.scratch}/none`,
      "--once",
    ]);
    expect(gone.code).toBe(2);
    expect(gone.stderr).toContain("does not exist");
    host.publish("v1.0.0");
    writeFileSync(join(host.registry, "v1.0.0/app_linux_amd64.tar.gz"), "no archive");
    expect((await once(host)).code).toBe(4);
    // Asked again, it tries again.
    expect((await once(host)).code).toBe(4);
    host.publish("v1.0.1", {});
    const empty = await once(host);
    expect(empty.code).toBe(4);
    expect(empty.stderr).toContain("holds no files");
  });
});
