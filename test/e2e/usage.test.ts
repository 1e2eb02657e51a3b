import { describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RunningDewy, runDewy } from "../support/dewy.ts";
import { TestHost } from "../support/host.ts";

describe("the command line", () => {
  test("says everything that is wrong at once, exits 1 and touches nothing", async () => {
    await using host = new TestHost();
    const { code, stderr, stdout } = await runDewy([
      "server",
      "--root",
      host.root,
      "--registry",
      "ghr://owner/repo?foo=1&pre-release=maybe",
      "--prot",
      "80",
      "-p",
      "70000",
      "-i",
      "soon",
      "--keep",
      "1",
      "--keep",
      "2",
    ]);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    for (const what of ["foo", "pre-release", "--prot", "70000", "soon", "--keep"])
      expect(stderr).toContain(what);
    for (const line of stderr.trim().split("\n")) expect(line).toStartWith("Error: ");
    expect(existsSync(join(host.root, ".dewy"))).toBe(false);
  });

  test.each([
    [["server"], "Error: --registry is not set\n"],
    [["assets"], "Error: --registry is not set\n"],
  ])("%p without a registry: the original's words", async (args, line) => {
    const { code, stderr } = await runDewy(args as string[]);
    expect(code).toBe(1);
    expect(stderr).toContain(line);
  });

  test.each([
    ["https://host/path", "https:// is not known"],
    ["file://relative/dir", "absolute directory"],
    ["ghr://owner", "GitHub repository"],
  ])("the registry %s is refused", async (registry, message) => {
    const { code, stderr } = await runDewy(["assets", "--registry", registry]);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  test("in / is refused with what to do", async () => {
    const { code, stderr } = await runDewy(["assets", "--registry", "file:///srv/x"], { cwd: "/" });
    expect(code).toBe(1);
    expect(stderr).toContain("WorkingDirectory=");
  });

  test("--version and --help print to stdout and exit 0", async () => {
    const version = await runDewy(["--version"]);
    expect(version.stdout).toMatch(
      /^dewy version: v\S+ \[([0-9a-f]{7}|none), \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\]\n$/,
    );
    const json = JSON.parse((await runDewy(["--version", "--log-format", "json"])).stdout);
    expect(json).toMatchObject({ level: "INFO", version: version.stdout.split(" ")[2] });
    const help = await runDewy(["help", "server"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain("--before-deploy-hook");
  });

  test("text records are slog's", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const { stderr } = await runDewy(["assets", ...host.flags(), "--once", "-l", "info"]);
    expect(stderr).toMatch(
      /^time=\S+ level=INFO msg="Dewy started" version=v\S+ commit=([0-9a-f]{7}|none) date=\S+\n/,
    );
    expect(stderr).toContain('level=INFO msg="Cached artifact" cache_key=v1.0.0--app_linux_amd64.tar.gz\n');
  });

  test("nothing that lies in the app's directory is run or read as the agent's own", async () => {
    await using host = new TestHost();
    writeFileSync(join(host.root, "bunfig.toml"), 'preload = ["./evil.js"]\n');
    writeFileSync(join(host.root, "evil.js"), 'console.log("evil ran");\n');
    writeFileSync(join(host.root, ".env"), "GH_TOKEN=from-dotenv\n");
    host.publish("v1.0.0");
    const hook = ["--before-deploy-hook", "echo token=$GH_TOKEN"];
    const args = ["assets", "--registry", `file://${host.registry}`, "--once", "-l", "info", ...hook];
    const { code, stdout, stderr } = await runDewy(args, { cwd: host.root });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toContain('stdout="token="');
    expect(stderr).not.toContain("from-dotenv");
  });

  test("status and retry in a directory that is no agent's say so", async () => {
    await using host = new TestHost();
    for (const command of ["status", "retry"]) {
      const { code, stderr } = await runDewy([command, "--root", host.root]);
      expect(code).toBe(1);
      expect(stderr).toContain(`no agent has run in ${host.root}`);
    }
  });

  test("an agent works in the directory it was started in, and through a link to it", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    await using agent = new RunningDewy(["assets", "--registry", `file://${host.registry}`], {
      cwd: host.root,
    });
    await agent.logged("Deploy done");
    expect(host.current()).toBe("v1.0.0");
  });
});
