import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dewyBinary, runDewy } from "../support/dewy.ts";
import { demoApp, dyingApp, startCommand, TestHost } from "../support/host.ts";
import { mountTmpfs } from "../support/tmpfs.ts";
import { until } from "../support/until.ts";

describe("a bad release", () => {
  test("never takes the old one down, and is tried once, until something changes", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.server([], startCommand);
    const before = await host.serves("v1.0.0");
    host.publish("v2.0.0", dyingApp("v2.0.0", 7));
    await agent.logged("Quarantined", { tag: "v2.0.0" });
    expect(await host.ask()).toBe(before);
    expect(host.current()).toBe("v1.0.0");
    await agent.logged("Deploy skipped", { tag: "v2.0.0", reason: "quarantined" });
    expect(host.history().map(({ tag, result }) => `${tag} ${result}`)).toEqual([
      "v1.0.0 deployed",
      "v2.0.0 failed",
    ]);
    expect(readdirSync(join(host.root, "releases"))).toHaveLength(1);

    const status = await runDewy(["status", "--root", host.root]);
    expect(status.stdout).toContain("Current    v1.0.0");
    expect(status.stdout).toMatch(/Quarantine v2\.0\.0.*exited with code 7/);

    await runDewy(["retry", "--root", host.root]);
    await until("a second try", () => host.history().filter(({ tag }) => tag === "v2.0.0").length === 2);
    expect(await host.ask()).toBe(before);

    host.publish("v2.0.0", demoApp("v2.0.0"));
    await host.serves("v2.0.0");
  }, 120_000);

  test("with nothing good before it is tried again, later and later, and the next one is taken", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", dyingApp("v1.0.0", 7));
    const agent = host.server([], startCommand);
    await agent.logged("Dewy run failure");
    await agent.logged("Deploy skipped", { reason: "backoff" });
    expect(host.state().quarantine).toEqual([]);
    expect(existsSync(join(host.root, "current"))).toBe(false);
    host.publish("v1.0.1");
    await host.serves("v1.0.1");
  }, 120_000);

  test.each([
    ["its command is missing", "./current/missing", "command not found: ./current/missing"],
    ["its command has no execute bit", "./current/app.ts", "command is not executable: ./current/app.ts"],
    ["its command is a directory", "./current", "command is not a file: ./current"],
  ])(
    "%s: a clear error",
    async (_, command, message) => {
      await using host = new TestHost();
      host.publish("v1.0.0");
      const agent = host.server([], [command]);
      const record = await agent.logged("Dewy run failure");
      expect(record["error"]).toBe(message);
      expect(record["hint"]).toBeString();
    },
    120_000,
  );

  test("whose checksum does not match reaches neither cache nor release", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.server();
    await host.serves("v1.0.0");
    const directory = join(host.registry, "v2.0.0");
    mkdirSync(directory);
    writeFileSync(join(directory, "SHA256SUMS"), `${"0".repeat(64)}  app_linux_amd64.tar.gz\n`);
    host.publish("v2.0.0");
    const record = await agent.logged("Quarantined", { tag: "v2.0.0" });
    expect(record["reason"]).toContain("SHA256SUMS");
    expect(readdirSync(join(host.root, ".dewy/cache")).filter((name) => name.startsWith("v2"))).toEqual([]);
    expect(host.current()).toBe("v1.0.0");
    rmSync(join(directory, "SHA256SUMS"));
    await host.serves("v2.0.0");
  }, 120_000);

  test("whose archive is damaged leaves nothing behind", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets();
    await agent.logged("Deploy done", { tag: "v1.0.0" });
    const path = host.publish("v2.0.0");
    writeFileSync(`${path}.part`, (await Bun.file(path).bytes()).subarray(0, 500));
    renameSync(`${path}.part`, path);
    await agent.logged("Quarantined", { tag: "v2.0.0" });
    expect(readdirSync(join(host.root, "releases"))).toHaveLength(1);
    expect(host.current()).toBe("v1.0.0");
  }, 120_000);
});

describe("the host", () => {
  test("a second agent in one directory says who holds it, and exits 1", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const agent = host.assets();
    await agent.logged("Deploy done");
    const second = await runDewy(["assets", ...host.flags()]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`another dewy runs in this directory: pid ${agent.pid}`);
  }, 120_000);

  test("a port in use: says by whom, exits 1, touches nothing", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const other = Bun.listen({ hostname: "0.0.0.0", port: host.port, socket: { data() {} } });
    const agent = host.server();
    expect(await agent.stop("SIGCONT")).toBe(1);
    other.stop();
    expect(agent.output).toContain(`port ${host.port} is in use by pid ${process.pid}`);
    expect(existsSync(join(host.root, "current"))).toBe(false);
  }, 120_000);

  test("a full disk: the old version serves on, and the next release that fits is taken", async () => {
    await using host = new TestHost();
    await using _disk = mountTmpfs(host.root, "size=4m");
    host.publish("v1.0.0");
    const agent = host.server();
    const before = await host.serves("v1.0.0");
    host.publish("v2.0.0", { ...demoApp("v2.0.0"), zeros: "0".repeat(8_000_000) });
    const record = await agent.logged("Dewy run failure");
    expect(`${record["error"]} ${record["hint"]}`).toMatch(/free some disk space/);
    expect(await host.ask()).toBe(before);
    expect(host.current()).toBe("v1.0.0");
    host.publish("v2.0.1");
    await host.serves("v2.0.1");
    await agent.stop();
  }, 120_000);

  test("a read-only directory: a clear error, exit 3, and the old version stays", async () => {
    await using host = new TestHost();
    await using disk = mountTmpfs(host.root, "size=4m");
    host.publish("v1.0.0");
    expect((await runDewy(["assets", ...host.flags(), "--once"])).code).toBe(0);
    disk.remount("ro");
    host.publish("v2.0.0");
    const { code, stderr } = await runDewy(["assets", ...host.flags(), "--once"]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/read-only|EROFS/i);
    expect(stderr).toContain("Hint: ");
    expect(host.current()).toBe("v1.0.0");
  }, 120_000);

  test("a directory that is not dewy's to write: says so and exits 3", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    chmodSync(host.scratch, 0o755);
    const { stderr, exitCode } = Bun.spawnSync([
      "setpriv",
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      dewyBinary,
      "assets",
      ...host.flags(),
    ]);
    expect(exitCode).toBe(3);
    expect(stderr.toString()).toContain("make the directory writable for the user dewy runs as");
  }, 120_000);

  test("`current` is a directory somebody made: a clear error, and it is left alone", async () => {
    await using host = new TestHost();
    mkdirSync(join(host.root, "current"));
    writeFileSync(join(host.root, "current/precious"), "");
    host.publish("v1.0.0");
    const { code, stderr } = await runDewy(["assets", ...host.flags(), "--once"]);
    expect(code).toBe(3);
    expect(stderr).toContain("is a directory, not a link");
    expect(existsSync(join(host.root, "current/precious"))).toBe(true);
  }, 120_000);
});

describe("the registry", () => {
  test("down at boot: the recorded release is served at once, and updates go on when it is back", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const first = host.server();
    await host.serves("v1.0.0");
    await first.logged("Start notification");
    await first.stop();
    expect(await host.ask()).toBe("");

    renameSync(host.registry, `${host.registry}.away`);
    const next = host.server();
    await host.serves("v1.0.0");
    await next.logged("Dewy run failure");
    renameSync(`${host.registry}.away`, host.registry);
    host.publish("v1.1.0");
    await host.serves("v1.1.0");
  }, 120_000);

  test("down and the state lost: what is in place is served all the same", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const first = host.server();
    await host.serves("v1.0.0");
    await first.logged("Start notification");
    await first.stop();
    rmSync(join(host.root, ".dewy"), { recursive: true });
    renameSync(host.registry, `${host.registry}.away`);
    host.server();
    await host.serves("v1.0.0");
  }, 120_000);

  test("takes the newest back: the host goes back with it", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    host.publish("v1.1.0");
    const agent = host.server();
    await host.serves("v1.1.0");
    await agent.logged("Start notification");
    host.unpublish("v1.1.0");
    await host.serves("v1.0.0");
  }, 120_000);
});
