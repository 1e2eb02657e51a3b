import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { closedWindow } from "../support/closed-window.ts";
import { runDewy } from "../support/dewy.ts";
import { startGithub } from "../support/github-server.ts";
import { demoCommand, TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

const token = "ghp_planted_token";

function write(host: TestHost, text: string, name = "dewy.toml"): string {
  const path = join(host.root, name);
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  return path;
}

function serverFile(host: TestHost, more = "", app: readonly string[] = demoCommand): string {
  return `
    command = "server"
    registry = "file://${host.registry}"
    interval = 1
    min-uptime = "300ms"
    port = ${host.port}
    app = ${JSON.stringify(app)}
    ${more}
  `;
}

describe("a configuration file", () => {
  test("is all that a server needs, and SIGHUP does not read it again", async () => {
    await using host = new TestHost();
    const app = ["/bin/sh", "-c", `env > app-env; exec ${demoCommand.join(" ")}`];
    write(host, serverFile(host, '[env]\nGH_TOKEN = "planted-token"', app));
    host.publish("v1.0.0");
    const agent = host.start(["server", "--root", host.root]);
    await host.serves("v1.0.0");
    expect(readFileSync(join(host.root, "app-env"), "utf8")).not.toContain("planted");
    write(host, "nonsense");
    process.kill(agent.pid, "SIGHUP");
    await until("the app is another generation", async () => /^v1\.0\.0 2 /.test(await host.ask()));
    host.publish("v1.1.0");
    await host.serves("v1.1.0");
    expect(agent.errors()).toEqual([]);
  });

  test("gives its secrets to dewy, and to nobody else", async () => {
    await using github = await startGithub({ tokens: [token] });
    await using host = new TestHost();
    const artifact = { app_linux_amd64: await Bun.file(host.archive("v1.0.0")).bytes() };
    github.publish({ tag: "v1.0.0", files: { "app_linux_amd64.tar.gz": artifact.app_linux_amd64 } });
    const secret = write(host, `${token}\n`, "token");
    chmodSync(secret, 0o644);
    write(
      host,
      `
      registry = "\${REGISTRY}"
      interval = 1
      after-deploy-hook = "env > hook-env"
      [env]
      GITHUB_API_URL = "${github.url}"
      GH_TOKEN = "file:${secret}"
      SLACK_TOKEN = "planted-slack"
      `,
    );
    const agent = host.start(["assets", "--root", host.root], { REGISTRY: github.registryUrl });
    // The file is there before env has written to it: the deploy is over once the hook is.
    await agent.logged("Deploy done", { tag: "v1.0.0" });
    expect(
      github.requests.some((request) => request.headers.get("authorization") === `Bearer ${token}`),
    ).toBe(true);
    const hook = readFileSync(join(host.root, "hook-env"), "utf8");
    expect(hook).toContain("DEWY_TAG=v1.0.0");
    expect(hook).not.toContain("planted");
    const { reason } = await agent.logged("A secret is open to others", { level: "WARN" });
    expect(reason).toBe(`${secret} can be read by every user of this host`);
    expect(agent.errors()).toEqual([]);
  });

  test("with mistakes starts nothing", async () => {
    await using host = new TestHost();
    write(host, serverFile(host, `kep = 3\ninterva = "soon"\nslot = "\${NOPE}"\nwindow = "Mon 25:00-26:00"`));
    const { code, stderr } = await runDewy(["server", "--root", host.root]);
    expect(code).toBe(1);
    for (const what of ["kep", "interva", "NOPE", "25:00"]) expect(stderr).toContain(what);
    for (const line of stderr.trim().split("\n")) expect(line).toStartWith(`Error: ${host.root}/dewy.toml: `);
    expect(existsSync(join(host.root, ".dewy"))).toBe(false);
  });
});

describe("dewy config", () => {
  test("show: the command line over the environment over the file", async () => {
    await using host = new TestHost();
    const secret = write(host, "planted-password", "password");
    write(
      host,
      serverFile(
        host,
        `cache = "redis://:\${PASSWORD}@cache:6379"\nkeep = 3\n[env]\nGH_TOKEN = "file:${secret}"\nDEWY_CACHEDIR = "/a"`,
      ),
    );
    const { code, stdout } = await runDewy(
      ["config", "show", "--root", host.root, "--interval", "5m", "--json"],
      {
        env: { DEWY_CACHEDIR: "/b", PASSWORD: "planted-redis" },
      },
    );
    expect(code).toBe(0);
    const { settings, environment } = JSON.parse(stdout);
    expect(settings).toContainEqual({ name: "interval", value: "5m", from: "flag" });
    expect(settings).toContainEqual({ name: "keep", value: "3", from: "file" });
    expect(settings).toContainEqual({ name: "cache", value: "redis://…@cache:6379", from: "file" });
    expect(settings).toContainEqual({ name: "hook-timeout", value: "10m", from: "default" });
    expect(environment).toContainEqual({ name: "DEWY_CACHEDIR", value: "/b", from: "environment" });
    expect(environment).toContainEqual({ name: "GH_TOKEN", value: "…", from: "file" });
  });

  test("check: fine, or what is wrong and where; touches nothing", async () => {
    await using host = new TestHost();
    const path = write(
      host,
      serverFile(host, 'window = ["Mon-Fri 09:00-17:00 Australia/Lord_Howe", "!Dec 24-Jan 2"]'),
    );
    expect(await runDewy(["config", "check"], { cwd: host.root })).toMatchObject({
      code: 0,
      stdout: `${path} is fine for dewy server\n`,
      stderr: "",
    });
    write(host, serverFile(host, "keep = 3\nkeep = 4"));
    expect(await runDewy(["config", "check", "--root", host.root])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `Error: ${path}: line 9: Cannot redefine key 'keep'\n`,
    });
    expect(existsSync(join(host.root, ".dewy"))).toBe(false);
  });
});

test("windows hold back all but the first release, until a reload opens them", async () => {
  await using host = new TestHost();
  write(host, serverFile(host, `window = "${closedWindow}"`));
  host.publish("v1.0.0");
  const agent = host.start(["server", "--root", host.root]);
  await host.serves("v1.0.0");
  host.publish("v1.1.0");
  await agent.logged("Deploy skipped", { tag: "v1.1.0" });
  write(host, serverFile(host, 'window = "Mon-Fri"\nkeep = 3\ndrain-time = 5'));
  expect(await runDewy(["reload", "--root", host.root])).toMatchObject({ code: 1 });
  expect((await host.ask()).split(" ")[0]).toBe("v1.0.0");
  write(host, serverFile(host));
  expect(await runDewy(["reload", "--root", host.root])).toMatchObject({ code: 0 });
  await host.serves("v1.1.0");
  expect(agent.errors()).toEqual([]);
});
