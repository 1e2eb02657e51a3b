import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runDewy } from "../support/dewy.ts";
import { type AppFiles, demoApp, freePort, TestHost } from "../support/host.ts";
import { startLoad } from "../support/load.ts";
import { type PrivateMode, privateApp } from "../support/private-app.ts";
import { until } from "../support/until.ts";

const deploys = process.env["DEWY_FULL"] === "1" ? 50 : 4;
const bun = [process.execPath, "./current/app.ts"];

interface Kind {
  readonly name: string;
  readonly command: readonly string[];
  files(tag: string): AppFiles;
}

/** As their makers write them: they read PORT, and know nothing of dewy. Each answers `<version> <pid>`. */
const kinds: readonly Kind[] = [
  { name: "Bun", command: bun, files: bunApp },
  {
    name: "Node",
    command: ["node", "./current/server.js"],
    files: (tag) => ({
      "server.js": `const http = require("node:http");
http.createServer((_, answer) => answer.end("${tag} " + process.pid + "\\n")).listen(process.env.PORT);
`,
    }),
  },
  {
    name: "Python",
    command: ["python3", "./current/server.py"],
    files: (tag) => ({
      "server.py": `import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"${tag} {os.getpid()}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
`,
    }),
  },
];

function bunApp(tag: string, mode?: PrivateMode): AppFiles {
  return { "app.ts": privateApp(tag, mode) };
}

function behindProxy(host: TestHost, flags: readonly string[] = [], command: readonly string[] = bun) {
  return host.server(["--proxy", "--replicas", "2", ...flags], command);
}

interface Recorded {
  readonly name: string;
  readonly pid: number;
  readonly release: string;
}

function processesOf(host: TestHost): Recorded[] {
  return JSON.parse(readFileSync(join(host.root, ".dewy/replicas.json"), "utf8")).processes;
}

function pidsOf(host: TestHost): number[] {
  return processesOf(host)
    .map(({ pid }) => pid)
    .sort((a, b) => a - b);
}

/** A crash of the release that is current, all its processes at once. */
function killCurrent(host: TestHost): void {
  const current = processesOf(host).filter(({ release }) => host.currentLink().endsWith(release));
  for (const { pid } of current) process.kill(pid, "SIGKILL");
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe("server --proxy", () => {
  test.each(kinds)(
    `${deploys} deploys of a $name app in a row under load lose no request`,
    async (kind) => {
      if (Bun.which(kind.command[0] ?? "") === null)
        return console.log(`no ${kind.command[0]} on this machine`);
      await using host = new TestHost();
      host.publish("v0.0.0", kind.files("v0.0.0"));
      const agent = behindProxy(host, [], kind.command);
      await agent.logged("Start notification");
      const load = startLoad(host.port, { kept: 0, fresh: 4, pauseMs: 5 });
      for (let number = 1; number <= deploys; number++) {
        host.publish(`v0.0.${number}`, kind.files(`v0.0.${number}`));
        await agent.logged("Deploy done", { tag: `v0.0.${number}` }, 60_000);
      }
      await until("the last one serves", () => load.seen().answers.has(`v0.0.${deploys}`));
      const { requests, failures, answers } = await load.stop();
      console.log(`${kind.name}: ${deploys} deploys, ${requests} requests, ${failures.length} failed`);
      expect(failures).toEqual([]);
      expect(answers.size).toBe(deploys + 1);
      expect(agent.errors()).toEqual([]);
      const pids = await until("only the last two are left", () => pidsOf(host).length === 2 && pidsOf(host));
      expect(await agent.stop()).toBe(0);
      expect(pids.filter(isAlive)).toEqual([]);
      expect(await host.ask()).toBe("");
    },
    900_000,
  );

  test.each<[string, PrivateMode, RegExp]>([
    ["that ends at once", "exit", /exited with code 3/],
    ["that never listens", "deaf", /does not listen there/],
    ["that hangs", "hang", /no answer|not healthy within/],
    ["that answers 500", "fail", /500/],
  ])(
    "not one answer of a release %s reaches a client",
    async (_, mode, reason) => {
      await using host = new TestHost();
      host.publish("v1.0.0", bunApp("v1.0.0"));
      const agent = behindProxy(host, ["--health-path", "/up", "--health-timeout", "6s"]);
      await agent.logged("Start notification");
      const before = pidsOf(host);
      const load = startLoad(host.port, { kept: 2, fresh: 2, pauseMs: 5 });
      host.publish("v2.0.0", bunApp("v2.0.0", mode));
      const { reason: told } = await agent.logged("Quarantined", { tag: "v2.0.0" }, 60_000);
      const { failures, answers } = await load.stop();
      expect(failures).toEqual([]);
      expect([...answers.keys()]).toEqual(["v1.0.0"]);
      expect(`${told ?? ""} ${JSON.stringify(host.state().quarantine)}`).toMatch(reason);
      expect(host.currentLink()).toEndWith(processesOf(host)[0]?.release ?? "");
      await until("only the old ones are left", () => `${pidsOf(host)}` === `${before}`);
    },
    120_000,
  );

  test("nor of one that fails --health-cmd, which asks each process at its own port", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const check = `curl -s "http://127.0.0.1:$DEWY_PORT/" | grep -q "^v1.* $DEWY_PID$"`;
    const agent = behindProxy(host, ["--health-cmd", check, "--health-timeout", "4s"]);
    await agent.logged("Start notification");
    const load = startLoad(host.port, { kept: 0, fresh: 2, pauseMs: 5 });
    host.publish("v2.0.0", bunApp("v2.0.0"));
    const { reason } = await agent.logged("Quarantined", { tag: "v2.0.0" }, 60_000);
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()]).toEqual(["v1.0.0"]);
    expect(`${reason ?? ""} ${JSON.stringify(host.state().quarantine)}`).toContain(
      "the health command exited with code 1",
    );
  }, 120_000);

  test("nor of one that is well but not up for --min-uptime", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const flags = ["--port", `${host.port}`, "--proxy", "--min-uptime", "6s"];
    const agent = host.start(["server", ...host.flags(), ...flags, "--", ...bun]);
    await agent.logged("Start notification");
    const load = startLoad(host.port, { kept: 0, fresh: 2, pauseMs: 5 });
    host.publish("v2.0.0", bunApp("v2.0.0", "dies"));
    await agent.logged("Quarantined", { tag: "v2.0.0" }, 60_000);
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()]).toEqual(["v1.0.0"]);
  }, 120_000);

  test("a release that gets healthy late is waited for", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const agent = behindProxy(host);
    await agent.logged("Start notification");
    const load = startLoad(host.port, { kept: 0, fresh: 2, pauseMs: 5 });
    host.publish("v2.0.0", bunApp("v2.0.0", "late"));
    await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
    await until("it serves", () => load.seen().answers.has("v2.0.0"));
    expect((await load.stop()).failures).toEqual([]);
  }, 120_000);

  test("a release whose processes die within the soak brings the one before back", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const agent = behindProxy(host, ["--soak", "2m"]);
    await agent.logged("Start notification");
    host.publish("v2.0.0", bunApp("v2.0.0"));
    await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
    killCurrent(host);
    await agent.logged("Went back to the release before", {}, 60_000);
    await host.serves("v1.0.0");
    expect(host.state().quarantine).toMatchObject([{ tag: "v2.0.0" }]);
    expect(host.state().current).toMatchObject({ tag: "v1.0.0" });
  }, 120_000);

  test("the way back is short while connections of the one before still drain", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const agent = behindProxy(host, ["--soak", "2m", "--drain-time", "30s"]);
    await agent.logged("Start notification");
    const load = startLoad(host.port, { kept: 4, fresh: 2, pauseMs: 5 });
    await until("the kept ones are connected", () => load.seen().requests > 50);
    host.publish("v2.0.0", bunApp("v2.0.0"));
    await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
    killCurrent(host);
    await agent.logged("Replica lost", {}, 60_000);
    const lostMs = performance.now();
    await agent.logged("Went back to the release before", {}, 60_000);
    const backMs = performance.now() - lostMs;
    console.log(`back after ${Math.round(backMs)} ms`);
    expect(backMs).toBeLessThan(8000);
    await host.serves("v1.0.0");
    expect(agent.records.map(({ msg }) => msg)).not.toContain("Drain time over");
    await load.stop();
  }, 120_000);

  test("a killed agent's processes are adopted by the next one, which serves at once", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const first = behindProxy(host);
    await first.logged("Start notification");
    const before = pidsOf(host);
    const load = startLoad(host.port, { kept: 0, fresh: 2, pauseMs: 20 });
    await until("there is load", () => load.seen().requests > 20);
    await first.stop("SIGKILL");
    await until("the proxy is gone", () => load.seen().failures.length > 0);
    expect(before.filter(isAlive)).toEqual(before);
    const next = behindProxy(host);
    await next.logged("Running replica adopted");
    await host.serves("v1.0.0");
    expect(pidsOf(host)).toEqual(before);
    await load.stop();
    host.publish("v1.1.0", bunApp("v1.1.0"));
    await host.serves("v1.1.0");
    await until("the old ones are gone", () => before.filter(isAlive).length === 0);
    expect(next.errors()).toEqual([]);
  }, 120_000);

  test("SIGHUP restarts all, one after the other", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const agent = behindProxy(host);
    await agent.logged("Start notification");
    const before = pidsOf(host);
    const load = startLoad(host.port, { kept: 0, fresh: 2, pauseMs: 5 });
    process.kill(agent.pid, "SIGHUP");
    const areNew = () => {
      const pids = pidsOf(host);
      return pids.length === 2 && pids.every((pid) => !before.includes(pid));
    };
    await until("all are new", areNew, 90_000).catch((error) => {
      throw new Error(`${error}\n${agent.output}`);
    });
    expect((await load.stop()).failures).toEqual([]);
  }, 120_000);

  test("several ports have a variable each", async () => {
    await using host = new TestHost();
    const second = freePort();
    const [low, high] = [Math.min(host.port, second), Math.max(host.port, second)];
    const serve = (name: string) =>
      `Bun.serve({ port: process.env.${name}, fetch: () => new Response("${name} 1\\n") });`;
    host.publish("v1.0.0", { "app.ts": `${serve("WEB")}\n${serve("ADMIN")}\n` });
    const ports = ["--port", `${second}`, "--port-env", "WEB,ADMIN"];
    const agent = behindProxy(host, ports);
    await agent.logged("Start notification");
    expect(await host.ask(low)).toBe("WEB 1");
    expect(await host.ask(high)).toBe("ADMIN 1");
  }, 60_000);

  test("the admin API lists the processes", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const agent = behindProxy(host);
    await agent.logged("Start notification");
    const { address } = await agent.logged("Admin API server started");
    const answer = await fetch(`${address}/api/containers`);
    const shown = { status: "running", version: "v1.0.0", state: "serving" };
    expect(await answer.json()).toMatchObject({ containers: [shown, shown] });
    const { port } = new URL(String(address));
    const name = processesOf(host)[0]?.name ?? "-";
    await until("it is in the list", async () => {
      return (await runDewy(["container", "list", "--admin-port", port])).stdout.includes(name);
    });
  }, 60_000);
});

describe("what another way of serving left running", () => {
  test("without --proxy is stopped before the proxy listens", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", demoApp("v1.0.0"));
    const first = host.server();
    const left = Number((await host.serves("v1.0.0")).split(" ")[2]);
    await first.logged("Start notification");
    await first.stop("SIGKILL");
    host.publish("v1.1.0", bunApp("v1.1.0"));
    const next = host.server(["--proxy"]);
    await next.logged("Stopping the app left by an agent without --proxy: it holds the ports");
    await host.serves("v1.1.0");
    await until("it is gone", () => !isAlive(left));
  }, 60_000);

  test("without --proxy hands its listener over to the proxy: nobody is refused", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", demoApp("v1.0.0"));
    const first = host.server();
    const left = Number((await host.serves("v1.0.0")).split(" ")[2]);
    await first.logged("Start notification");
    await first.stop("SIGKILL");
    host.publish("v1.1.0", bunApp("v1.1.0"));
    const load = startLoad(host.port, { kept: 0, fresh: 4, pauseMs: 5 });
    await until("there is load", () => load.seen().requests > 50);
    // It keeps the old app for five seconds after it has stopped accepting.
    const silent = await Bun.connect({
      hostname: "127.0.0.1",
      port: host.port,
      socket: { data: () => undefined },
    });
    const next = host.server(["--proxy"]);
    await until("the new one serves", () => load.seen().answers.has("v1.1.0"));
    await until("the old one is gone", () => !isAlive(left));
    silent.end();
    const { failures, requests } = await load.stop();
    console.log(`taken over: ${requests} requests, ${failures.length} failed`);
    expect(failures).toEqual([]);
    expect(await next.stop()).toBe(0);
    expect(await host.ask()).toBe("");
  }, 60_000);

  test("behind a proxy is stopped by an agent without one", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const first = behindProxy(host);
    await first.logged("Start notification");
    const left = pidsOf(host);
    await first.stop("SIGKILL");
    host.publish("v1.1.0", demoApp("v1.1.0"));
    const next = host.server();
    await host.serves("v1.1.0");
    await until("they are gone", () => left.filter(isAlive).length === 0);
    expect(next.records.map(({ msg }) => msg)).toContain("Stopping a process left by an agent with --proxy");
  }, 60_000);
});

test.each<[string, (host: TestHost) => readonly string[]]>([
  ["assets", (host) => ["assets", ...host.flags()]],
  [
    "containers, even with no engine there",
    (host) => [
      ...["container", "--root", host.root, "--registry", "img://127.0.0.1:1/shop", "--interval", "1s"],
      ...["--port", `${freePort()}:8080`, "--runtime", "docker"],
    ],
  ],
])(
  "what is left behind a proxy is stopped by an agent of %s",
  async (_, args) => {
    await using host = new TestHost();
    host.publish("v1.0.0", bunApp("v1.0.0"));
    const first = behindProxy(host);
    await first.logged("Start notification");
    const left = pidsOf(host);
    await first.stop("SIGKILL");
    const next = host.start(args(host), { DOCKER_HOST: `unix://${host.scratch}/none.sock` });
    await until("they are gone", () => left.filter(isAlive).length === 0);
    expect(next.records.filter(({ level }) => level === "WARN").map(({ msg }) => msg)).toContain(
      "Stopping a process left by an agent with --proxy",
    );
  },
  60_000,
);

describe("a choice that does not go with the proxy", () => {
  const common = ["server", "--registry", "file:///srv/releases", "--port", "18000"];
  test.each<[string, readonly string[], string]>([
    ["--replicas without it", ["--replicas", "2"], "--replicas is about the proxy, and there is none"],
    ["--port-env without it", ["--port-env", "PORT"], "--port-env is about the proxy, and there is none"],
    ["--rehearse", ["--proxy", "--rehearse"], "--rehearse does not go with --proxy"],
    ["a unix socket", ["--proxy", "--port", "unix:/run/app.sock"], "--proxy does not listen on unix sockets"],
    ["too few names", ["--proxy", "--port", "18001"], "--port-env names one variable for 2 ports"],
    ["one of dewy's names", ["--proxy", "--port-env", "DEWY_ROOT"], "cannot be the variable of a port"],
  ])("%s is a clear error", async (_, flags, message) => {
    const { code, stderr } = await runDewy([...common, ...flags, "--", "./current/app"]);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  test("no port is a clear error", async () => {
    const { code, stderr } = await runDewy([
      "server",
      "--registry",
      "file:///srv/releases",
      "--proxy",
      "--",
      "./app",
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain("--proxy has no port to listen on");
  });
});
