import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { processStat } from "../../src/util/procfs.ts";
import { runDewy } from "../support/dewy.ts";
import { TestHost } from "../support/host.ts";
import { startLoad } from "../support/load.ts";
import { provingApp } from "../support/proving-app.ts";
import { until } from "../support/until.ts";

describe("--link", () => {
  test("each release has what outlives it, and none takes it along when it goes", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", { VERSION: "v1.0.0\n" });
    const agent = host.assets(["--link", "shared/log:log", "--link", "shared/data:var/data", "--keep", "1"]);
    await agent.logged("Deploy done", { tag: "v1.0.0" });
    const first = host.currentLink();
    expect(readlinkSync(join(first, "log"))).toBe("../../shared/log");
    await Bun.write(join(host.root, "current/log/app.log"), "line\n");
    for (const tag of ["v1.0.1", "v1.0.2"]) {
      host.publish(tag, { VERSION: `${tag}\n` });
      await agent.logged("Deploy done", { tag });
    }
    await until("the first release is gone", () => !existsSync(first));
    expect(readFileSync(join(host.root, "current/log/app.log"), "utf8")).toBe("line\n");
    expect(readdirSync(join(host.root, "shared")).toSorted()).toEqual(["data", "log"]);
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("a release that brings something to that place is set aside, and the old one stays", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", { VERSION: "v1.0.0\n" });
    const agent = host.assets(["--link", "shared/log:log"]);
    await agent.logged("Deploy done", { tag: "v1.0.0" });
    host.publish("v1.0.1", { VERSION: "v1.0.1\n", log: "a file" });
    const { reason } = await agent.logged("Quarantined", { tag: "v1.0.1" });
    expect(reason).toContain("brings a file at log");
    expect(host.current()).toBe("v1.0.0");
    await agent.stop();
    // Linked to another place it may work: what was set aside was another try.
    const next = host.assets(["--link", "shared/log:logs"]);
    await next.logged("Deploy done", { tag: "v1.0.1" });
    expect(host.current()).toBe("v1.0.1");
  }, 120_000);

  test.each([
    ["releases/x:log", "is in releases, which is dewy's own"],
    ["..:log", "would link the releases into themselves"],
    ["shared/log", "is not a pair of paths"],
    ["shared/log:../log", "leads out of the release"],
  ])("%s is refused at the start", async (value, message) => {
    await using host = new TestHost();
    host.publish("v1.0.0", { VERSION: "v1.0.0\n" });
    const { code, stderr } = await runDewy(["assets", ...host.flags(), "--link", value, "--once"]);
    expect({ code, told: stderr.includes(message) }, stderr).toEqual({ code: 1, told: true });
    expect(existsSync(join(host.root, "current"))).toBe(false);
  });
});

describe("--user", () => {
  const flags = ["--user", "nobody:4242", "--link", "shared/log:log"];
  const credentials = (pid: number) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const line = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
    return [line("Uid").split("\t")[0], line("Gid").split("\t")[0], line("CapEff")];
  };

  test("the app and the hooks run as that user, write to what is linked, and outlive a killed agent", async () => {
    await using host = new TestHost();
    chmodSync(host.scratch, 0o755);
    const nobody = Number(Bun.spawnSync(["id", "-u", "nobody"]).stdout.toString());
    const user = [String(nobody), "4242", "0".repeat(16)];
    host.publish("v1.0.0", provingApp("v1.0.0", "good"));
    // The hook shows by a file who it is, and that it may write where the app may.
    const hook = ["--after-deploy-hook", "id -u > shared/log/hook; echo $USER >> shared/log/hook"];
    const first = host.server([...flags, ...hook], ["./current/app"]);
    const pid = async (tag: string) => Number((await host.serves(tag)).split(" ")[2]);
    const before = await pid("v1.0.0");
    expect(credentials(before)).toEqual(user);
    expect(readFileSync(join(host.root, "shared/log/hook"), "utf8")).toBe(`${nobody}\nnobody\n`);
    expect(statSync(join(host.root, "shared/log"))).toMatchObject({ uid: nobody, gid: 4242 });
    await first.logged("Deploy done");
    const load = startLoad(host.port, { kept: 1, fresh: 2, pauseMs: 5 });
    await first.stop("SIGKILL");

    const second = host.server([...flags, ...hook], ["./current/app"]);
    await second.logged("Adopt running server", { pid: before });
    host.publish("v1.0.1", provingApp("v1.0.1", "good"));
    const after = await pid("v1.0.1");
    expect(after).not.toBe(before);
    expect(credentials(after)).toEqual(user);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    await second.stop();
    expect(second.errors()).toEqual([]);
    expect(processStat(after)?.state ?? "Z").toBe("Z");
  }, 120_000);

  test.each([
    [["--user", "no-such-user"], "there is no user no-such-user on this host"],
    [["--user", "nobody", "--group", "no-such-group"], "there is no group no-such-group on this host"],
    [["--group", "daemon"], "--group needs --user"],
    [["--user", "54321"], "--user 54321:54321"],
  ])("%p is refused before anything is touched", async (given, message) => {
    await using host = new TestHost();
    const { code, stderr } = await runDewy(["assets", ...host.flags(), ...given, "--once"]);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(readdirSync(host.root)).toEqual([]);
  });

  test("is refused in a directory of that user's, whose links root would follow", async () => {
    await using host = new TestHost();
    chmodSync(host.scratch, 0o755);
    host.publish("v1.0.0", { VERSION: "v1.0.0\n" });
    const precious = join(host.scratch, "precious");
    writeFileSync(precious, "root's\n");
    mkdirSync(join(host.root, ".dewy"));
    symlinkSync(precious, join(host.root, ".dewy/lock"));
    for (const path of [host.root, join(host.root, ".dewy")]) chownSync(path, 65_534, 65_534);
    const args = ["assets", ...host.flags(), "--user", "nobody", "--once"];
    const { code, stderr } = await runDewy(args);
    expect(code).toBe(1);
    expect(stderr).toContain(`${host.root} is owned by or writable for user nobody`);
    expect(readFileSync(precious, "utf8")).toBe("root's\n");
    expect(readdirSync(host.root)).toEqual([".dewy"]);
    // As the hint says.
    rmSync(join(host.root, ".dewy"), { recursive: true });
    chownSync(host.root, 0, 0);
    expect((await runDewy(args)).code).toBe(0);
  });

  test("is refused to an agent that is somebody else", async () => {
    await using host = new TestHost();
    for (const path of [host.scratch, host.root]) chmodSync(path, 0o777);
    const binary = realpathSync(process.env["DEWY_BINARY"] ?? "dist/dewy-linux-amd64");
    const { exitCode, stderr } = Bun.spawnSync([
      ...["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
      ...[binary, "assets", ...host.flags(), "--user", "daemon", "--once"],
    ]);
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toContain("only root can run the app as daemon");
    expect(readdirSync(host.root)).toEqual([]);
  });
});
