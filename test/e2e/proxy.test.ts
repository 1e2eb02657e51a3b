import { describe, expect, test } from "bun:test";
import { runDewy } from "../support/dewy.ts";
import { freePort } from "../support/free-port.ts";
import type { AppFiles } from "../support/host.ts";
import { type PrivateMode, privateApp } from "../support/private-app.ts";
import { isAlive, Proxied, privateCommand } from "../support/proxied.ts";
import { until } from "../support/until.ts";

const deploys = process.env["DEWY_FULL"] === "1" ? 50 : 4;

interface Kind {
  readonly name: string;
  readonly command: readonly string[];
  files(tag: string): AppFiles;
}

/** As their makers write them: they read PORT, and know nothing of dewy. Each answers `<version> <pid>`. */
const kinds: readonly Kind[] = [
  {
    name: "Bun",
    command: privateCommand,
    files: (tag) => ({ "app.ts": privateApp(tag) }),
  },
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

describe("server --proxy", () => {
  for (const { name, command, files } of kinds) {
    const [program = ""] = command;
    test.skipIf(Bun.which(program) === null)(
      `${deploys} deploys of a ${name} app in a row under load lose no request`,
      async () => {
        await using host = new Proxied();
        const agent = await host.serving("v0.0.0", [], { files: files("v0.0.0"), app: command });
        const load = host.load({ fresh: 4 });
        for (let number = 1; number <= deploys; number++) {
          host.publish(`v0.0.${number}`, files(`v0.0.${number}`));
          await agent.logged("Deploy done", { tag: `v0.0.${number}` }, 60_000);
        }
        await until("the last one serves", () => load.seen().answers.has(`v0.0.${deploys}`));
        const { requests, failures, answers } = await load.stop();
        console.log(`${name}: ${deploys} deploys, ${requests} requests, ${failures.length} failed`);
        expect(failures).toEqual([]);
        expect(answers.size).toBe(deploys + 1);
        expect(agent.errors()).toEqual([]);
        const pids = await until("only the last two are left", () => host.pids.length === 2 && host.pids);
        expect(await agent.stop()).toBe(0);
        expect(pids.filter(isAlive)).toEqual([]);
        expect(await host.ask()).toBe("");
      },
      900_000,
    );
  }

  test.each<[string, PrivateMode, RegExp]>([
    ["that ends at once", "exit", /exited with code 3/],
    ["that never listens", "deaf", /does not listen there/],
    ["that hangs", "hang", /no answer|not healthy within/],
    ["that answers 500", "fail", /500/],
  ])(
    "not one answer of a release %s reaches a client",
    async (_, mode, reason) => {
      await using host = new Proxied();
      const agent = await host.serving("v1.0.0", ["--health-path", "/up", "--health-timeout", "8s"]);
      const before = host.pids;
      const load = host.load({ kept: 2 });
      host.publishMode("v2.0.0", mode);
      const { reason: told } = await agent.logged("Quarantined", { tag: "v2.0.0" }, 60_000);
      const { failures, answers } = await load.stop();
      expect(failures).toEqual([]);
      expect([...answers.keys()]).toEqual(["v1.0.0"]);
      expect(`${told ?? ""} ${JSON.stringify(host.state().quarantine)}`).toMatch(reason);
      expect(host.currentLink()).toEndWith(host.processes[0]?.release ?? "");
      await until("only the old ones are left", () => `${host.pids}` === `${before}`);
    },
    120_000,
  );

  test("nor of one that fails --health-cmd, which asks each process at its own port", async () => {
    await using host = new Proxied();
    const check = `curl -s "http://127.0.0.1:$DEWY_PORT/" | grep -q "^v1.* $DEWY_PID$"`;
    const agent = await host.serving("v1.0.0", ["--health-cmd", check, "--health-timeout", "8s"]);
    const load = host.load();
    host.publishMode("v2.0.0");
    const { reason } = await agent.logged("Quarantined", { tag: "v2.0.0" }, 60_000);
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()]).toEqual(["v1.0.0"]);
    expect(`${reason ?? ""} ${JSON.stringify(host.state().quarantine)}`).toContain(
      "the health command exited with code 1",
    );
  }, 120_000);

  test("nor of one that is well but not up for --min-uptime", async () => {
    await using host = new Proxied();
    host.publishMode("v1.0.0");
    const flags = ["--port", `${host.port}`, "--proxy", "--min-uptime", "6s"];
    const agent = host.start(["server", ...host.flags(), ...flags, "--", ...privateCommand]);
    await agent.logged("Start notification");
    const load = host.load();
    host.publishMode("v2.0.0", "dies");
    await agent.logged("Quarantined", { tag: "v2.0.0" }, 60_000);
    const { failures, answers } = await load.stop();
    expect(failures).toEqual([]);
    expect([...answers.keys()]).toEqual(["v1.0.0"]);
  }, 120_000);

  test("a release that gets healthy late is waited for", async () => {
    await using host = new Proxied();
    const agent = await host.serving("v1.0.0");
    const load = host.load();
    host.publishMode("v2.0.0", "late");
    await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
    await until("it serves", () => load.seen().answers.has("v2.0.0"));
    expect((await load.stop()).failures).toEqual([]);
  }, 120_000);

  test("a release whose processes die within the soak brings the one before back", async () => {
    await using host = new Proxied();
    const agent = await host.serving("v1.0.0", ["--soak", "10m"]);
    host.publishMode("v2.0.0");
    await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
    host.killCurrent();
    await agent.logged("Went back to the release before", {}, 60_000);
    await host.serves("v1.0.0");
    expect(host.state().quarantine).toMatchObject([{ tag: "v2.0.0" }]);
    expect(host.state().current).toMatchObject({ tag: "v1.0.0" });
  }, 120_000);

  test("the way back is short while connections of the one before still drain", async () => {
    await using host = new Proxied();
    const agent = await host.serving("v1.0.0", ["--soak", "10m", "--drain-time", "10m"]);
    const load = host.load({ kept: 4 });
    await until("the kept ones are connected", () => load.seen().requests > 50);
    host.publishMode("v2.0.0");
    await agent.logged("Deploy done", { tag: "v2.0.0" }, 60_000);
    host.killCurrent();
    await agent.logged("Went back to the release before", {}, 60_000);
    await host.serves("v1.0.0");
    expect(agent.records.map(({ msg }) => msg)).not.toContain("Drain time over");
    await load.stop();
  }, 120_000);

  test("SIGHUP restarts all, one after the other", async () => {
    await using host = new Proxied();
    const agent = await host.serving("v1.0.0");
    const before = host.pids;
    const load = host.load();
    process.kill(agent.pid, "SIGHUP");
    const areNew = () => {
      const pids = host.pids;
      return pids.length === 2 && pids.every((pid) => !before.includes(pid));
    };
    await until("all are new", areNew, 90_000).catch((error) => {
      throw new Error(`${error}\n${agent.output}`);
    });
    expect((await load.stop()).failures).toEqual([]);
  }, 120_000);

  test("several ports have a variable each, and a release that leaves one unserved is refused", async () => {
    await using host = new Proxied();
    const second = freePort();
    const [low, high] = [Math.min(host.port, second), Math.max(host.port, second)];
    const serve = (name: string) =>
      `Bun.serve({ port: process.env.${name}, fetch: () => new Response("${name} 1\\n") });`;
    const both = { "app.ts": `${serve("WEB")}\n${serve("ADMIN")}\n` };
    const flags = ["--port", `${second}`, "--port-env", "WEB,ADMIN", "--health-timeout", "8s"];
    const agent = await host.serving("v1.0.0", [...flags, "--health-path", "/up"], { files: both });
    expect(await host.ask(low)).toBe("WEB 1");
    expect(await host.ask(high)).toBe("ADMIN 1");
    // Healthy on the first, by its path, is not enough: clients of the second would be refused.
    host.publish("v2.0.0", { "app.ts": `${serve("WEB")}\n` });
    const { reason } = await agent.logged("Quarantined", { tag: "v2.0.0" }, 60_000);
    expect(reason).toMatch(/the process does not listen there$/);
    expect(await host.ask(high)).toBe("ADMIN 1");
  }, 120_000);

  test("the admin API lists the processes", async () => {
    await using host = new Proxied();
    // Of its own: the usual ones may all be taken by other agents.
    const agent = await host.serving("v1.0.0", ["--admin-port", `${freePort()}`]);
    const { address } = await agent.logged("Admin API server started");
    const answer = await fetch(`${address}/api/containers`);
    const shown = { status: "running", version: "v1.0.0", state: "serving" };
    expect(await answer.json()).toMatchObject({ containers: [shown, shown] });
    const { port } = new URL(String(address));
    const name = host.processes[0]?.name ?? "-";
    await until("it is in the list", async () => {
      return (await runDewy(["container", "list", "--admin-port", port])).stdout.includes(name);
    });
  }, 120_000);
});

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
    const { code, stderr } = await runDewy([...common.slice(0, -2), "--proxy", "--", "./app"]);
    expect(code).toBe(1);
    expect(stderr).toContain("--proxy has no port to listen on");
  });
});
