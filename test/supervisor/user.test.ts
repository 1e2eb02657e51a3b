import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { descriptorOf } from "../../src/util/procfs.ts";
import type { User } from "../../src/util/user.ts";
import {
  AppHost,
  environmentOf,
  groupIsGone,
  httpCommand,
  killGroup,
  pidOf,
  shellApps,
} from "../support/app-host.ts";
import { freePort } from "../support/free-port.ts";
import { startLoad } from "../support/load.ts";

const c = { signal: new AbortController().signal };
const user: User = { uid: 54_321, gid: 4242, groups: [4242, 4243], name: "app", home: "/home/app" };
// The one in node_modules may be a link, and nothing above it closed to others.
const http = [realpathSync(process.execPath), ...httpCommand.slice(1)];
const left: number[] = [];
afterAll(() => left.forEach(killGroup));

/** A host that other users can get into. */
function openHost(): AppHost {
  const host = new AppHost();
  chmodSync(host.root, 0o755);
  return host;
}

describe("an app with a user of its own", () => {
  test("has his ids, his groups, his home, the listeners and LISTEN_PID, and no right of root's", async () => {
    await using host = openHost();
    const other = { kind: "tcp", host: null, port: freePort() } as const;
    const env = { PATH: process.env["PATH"], HOME: "/root", USER: "root", LOGNAME: "root" };
    await using supervisor = await host.open({
      command: ["sleep", "1000"],
      listen: [host.listen, other],
      user,
      env,
    });
    await supervisor.resume("v1", c);
    const pid = pidOf(supervisor);
    const seen = await environmentOf(pid, "sleep");
    expect(credentials(pid)).toEqual({
      uid: "54321 54321 54321 54321",
      gid: "4242 4242 4242 4242",
      groups: "4242 4243",
      capabilities: "0".repeat(16),
    });
    expect(Object.fromEntries(seen)).toMatchObject({
      HOME: "/home/app",
      USER: "app",
      LOGNAME: "app",
      LISTEN_PID: String(pid),
    });
    const { listeners = [] } = host.record.read() ?? {};
    expect(listeners.map(({ inode }) => descriptorOf(pid, inode))).toEqual([3, 4]);
  });

  test("ENVDIR has the last word on his environment", async () => {
    await using host = openHost();
    const envDir = join(host.root, "env");
    await Bun.write(join(envDir, "HOME"), "/srv/home\n");
    await using supervisor = await host.open({ command: ["sleep", "1000"], user, envDir });
    await supervisor.resume("v1", c);
    expect((await environmentOf(pidOf(supervisor), "sleep")).get("HOME")).toBe("/srv/home");
  });

  test("is replaced under load with no request lost, and stopped in the end", async () => {
    await using host = openHost();
    for (const release of ["v1", "v2"]) host.httpRelease(release);
    host.switchTo("v1");
    const supervisor = await host.openHttp({ command: http, user });
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    await supervisor.replace(host.change("v2", "v1"), c);
    await host.serves("v2");
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    const pid = pidOf(supervisor);
    expect(credentials(pid).uid).toStartWith("54321 ");
    await supervisor[Symbol.asyncDispose]();
    expect(groupIsGone(pid)).toBe(true);
  });

  test("that he may not execute fails by its name, and the old one stays", async () => {
    await using host = openHost();
    host.shellRelease("v1", shellApps.stays);
    host.shellRelease("v2", shellApps.stays);
    chmodSync(join(host.root, "releases/v2/app"), 0o700);
    host.switchTo("v1");
    await using supervisor = await host.open({ user, listen: [host.listen] });
    await supervisor.resume("v1", c);
    const pid = pidOf(supervisor);
    await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
      code: "start-failed",
      message: "user app may not execute ./current/app",
      hint: expect.stringContaining("modes"),
    });
    expect(pidOf(supervisor)).toBe(pid);
  });
});

describe("after the agent was killed", () => {
  test("its successor takes the sockets back from the user's app", async () => {
    await using host = openHost();
    host.httpRelease("v1");
    const pid = await killedAgent(host);
    const answer = await host.serves("v1");
    await using supervisor = await host.openHttp({ command: http, user });
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(pidOf(supervisor)).toBe(pid);
    expect(await host.ask()).toBe(answer);
  });

  test.each<[string, User | null, string]>([
    ["as another user", { ...user, uid: 54_322 }, "54322 "],
    ["in another group", { ...user, gid: 4243 }, "54321 "],
    ["as the agent's own", null, "0 "],
  ])("a successor that is to run it %s does so at once", async (_, next, uid) => {
    await using host = openHost();
    host.httpRelease("v1");
    const pid = await killedAgent(host);
    await host.serves("v1");
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    await using supervisor = await host.openHttp({ command: http, user: next });
    expect(await supervisor.resume("v1", c)).toBe("started");
    expect(pidOf(supervisor)).not.toBe(pid);
    expect(credentials(pidOf(supervisor)).uid).toStartWith(uid);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
  });
});

function credentials(pid: number) {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const line = (name: string) =>
    (new RegExp(`^${name}:(.*)$`, "m").exec(text)?.[1] ?? "").trim().replaceAll("\t", " ");
  return { uid: line("Uid"), gid: line("Gid"), groups: line("Groups"), capabilities: line("CapEff") };
}

/** The app's pid, whose agent is gone. */
async function killedAgent(host: AppHost): Promise<number> {
  host.switchTo("v1");
  const options = JSON.stringify(host.options({ command: http, listen: [host.listen], user }));
  const script = join(import.meta.dir, "../support/doomed-agent.ts");
  const agent = Bun.spawn([process.execPath, script, options, host.record.path, "v1"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { value } = await agent.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  left.push(pid);
  agent.kill("SIGKILL");
  await agent.exited;
  return pid;
}
