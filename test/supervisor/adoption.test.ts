import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openListener } from "../../src/supervisor/listener.ts";
import { inodesAt } from "../../src/supervisor/listening.ts";
import type { SupervisorRecord } from "../../src/supervisor/record.ts";
import type { SupervisorOptions } from "../../src/supervisor/supervisor.ts";
import { bootId, commandName, processStat, processUser } from "../../src/util/procfs.ts";
import {
  AppHost,
  groupIsGone,
  httpCommand,
  killGroup,
  pidOf,
  shellApps,
  shellCommand,
} from "../support/app-host.ts";
import { killedAgent } from "../support/killed-agent.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };

describe("after the agent was killed", () => {
  test("its successor takes the port back, adopts the app, and can replace it, with no request lost", async () => {
    await using host = new AppHost();
    host.httpRelease("v1");
    const pid = await killedAgent(host, "v1", httpOptions(host));
    host.httpRelease("v2");
    const answer = await host.serves("v1");
    const load = startLoad(host.port, { kept: 3, fresh: 3 });
    await using supervisor = await host.openHttp();
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(pidOf(supervisor)).toBe(pid);
    expect(await host.ask()).toBe(answer);
    await supervisor.replace(host.change("v2", "v1"), c);
    await until("v1 is gone", () => groupIsGone(pid));
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(await host.ask()).toStartWith("v2 2 ");
  });

  test("a unix socket is taken back too: its file stays, and goes in the end", async () => {
    await using host = new AppHost();
    host.httpRelease("v1");
    const path = join(host.root, "app.sock");
    const listening = { command: httpCommand, listen: [{ kind: "unix", path } as const] };
    const pid = await killedAgent(host, "v1", listening);
    const ask = async () => (await fetch("http://app/", { unix: path, keepalive: false })).text();
    const supervisor = await host.open(listening);
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(await ask()).toBe(`v1 1 ${pid}\n`);
    await supervisor.restart(c);
    await until("the next one answers alone", async () => (await ask()).startsWith("v1 2 "));
    await supervisor[Symbol.asyncDispose]();
    expect(existsSync(path)).toBe(false);
  });

  test("an adopted app that dies is started again; one that is stopped goes with its group", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", "sleep 1000 & exec sleep 1000");
    const pid = await killedAgent(host, "v1");
    const supervisor = await host.open();
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    process.kill(pid, "SIGKILL");
    await until("a new one runs", () => supervisor.state.kind === "running" && pidOf(supervisor) !== pid);
    expect(host.crashes).toMatchObject([{ release: "v1", reason: "the server ended" }]);
    await until("its child is gone", () => groupIsGone(pid));
    const next = pidOf(supervisor);
    await supervisor[Symbol.asyncDispose]();
    expect(groupIsGone(next)).toBe(true);
  });

  test.each(["with", "without"])(
    "%s a record, what another user has running is no app of this directory",
    async (how) => {
      await using host = new AppHost();
      host.shellRelease("v1", shellApps.stays);
      const env = { DEWY_ROOT: host.root, SERVER_STARTER_GENERATION: "1" };
      const as = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
      const stranger = Bun.spawn([...as, "sleep", "1000"], {
        env: { PATH: process.env["PATH"], ...env },
        detached: true,
      });
      const rehearsal = { ...env, PATH: process.env["PATH"], DEWY_REHEARSAL: "1" };
      const stray = Bun.spawn([...as, "sleep", "1000"], { env: rehearsal, detached: true });
      for (const { pid } of [stranger, stray]) {
        await until(
          "it is the other user's",
          () => commandName(pid) === "sleep" && processUser(pid) === 65_534,
        );
      }
      if (how === "with") {
        const noted = { number: 1, pid: null, startTicks: null, release: "v1" };
        host.record.write({ command: [...shellCommand], listeners: [], generations: [noted] });
      }
      await using supervisor = await host.open();
      host.switchTo("v1");
      expect(await supervisor.resume("v1", c)).toBe("started");
      expect(pidOf(supervisor)).not.toBe(stranger.pid);
      expect([stranger.exitCode, stray.exitCode]).toEqual([null, null]);
      for (const one of [stranger, stray]) {
        one.kill();
        await one.exited;
      }
    },
  );

  test("an app that ended meanwhile is started", async () => {
    await using host = new AppHost();
    host.httpRelease("v1");
    const pid = await killedAgent(host, "v1", httpOptions(host));
    process.kill(-pid, "SIGKILL");
    await until("it is gone", () => groupIsGone(pid));
    await using supervisor = await host.openHttp();
    expect(await supervisor.resume("v1", c)).toBe("started");
    await host.serves("v1");
  });

  test("of two runs the recorded release's is kept, the other goes", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const old = await killedAgent(host, "v1");
    const other = Bun.spawn(["sleep", "1000"], { detached: true });
    const record = readRecord(host);
    const extra = {
      number: 2,
      pid: other.pid,
      startTicks: processStat(other.pid)?.startTicks ?? 0,
      release: "v2",
    };
    host.record.write({ ...record, generations: [...record.generations, extra] });
    await using supervisor = await host.open();
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(pidOf(supervisor)).toBe(old);
    await until("the other is gone", () => groupIsGone(other.pid));
    expect(await other.exited).toBe(143);
  });

  test("a run of another release is replaced by the recorded one, start-first", async () => {
    await using host = new AppHost();
    host.shellRelease("v2", shellApps.stays);
    const pid = await killedAgent(host, "v2");
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    await using supervisor = await host.open();
    expect(await supervisor.resume("v1", c)).toBe("started");
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v1", current: { number: 2 } });
    await until("the other is gone", () => groupIsGone(pid));
  });

  test.each<[string, (host: AppHost) => Partial<SupervisorOptions>]>([
    ["another command line", () => ({ command: ["./current/app", "--flag"] })],
    ["another port", (host) => ({ listen: [host.listen] })],
  ])("%s means a new start", async (_, changes) => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const pid = await killedAgent(host, "v1");
    await using supervisor = await host.open(changes(host));
    expect(await supervisor.resume("v1", c)).toBe("started");
    expect(pidOf(supervisor)).not.toBe(pid);
    await until("the old one is gone", () => groupIsGone(pid));
  });

  test("with nothing recorded to resume, the first deploy still replaces the app that was found", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", shellApps.stays);
    const pid = await killedAgent(host, "v1");
    host.shellRelease("v2", shellApps.stays);
    await using supervisor = await host.open();
    await supervisor.replace(host.change("v2", "v1"), c);
    await until("the old one is gone", () => groupIsGone(pid));
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v2", current: { number: 2 } });
  });

  test("killed between the spawn and the note of the pid: the app is found by its environment", async () => {
    await using host = new AppHost();
    host.httpRelease("v1");
    const pid = await killedAgent(host, "v1", httpOptions(host));
    const record = readRecord(host);
    host.record.write({
      ...record,
      generations: [{ number: 1, pid: null, startTicks: null, release: "v1" }],
    });
    await using supervisor = await host.openHttp();
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(pidOf(supervisor)).toBe(pid);
  });

  test("a listener that can't be taken back: the app is stopped, the port bound anew, and it says so", async () => {
    await using host = new AppHost();
    host.httpRelease("v1");
    const pid = await killedAgent(host, "v1", httpOptions(host));
    const record = readRecord(host);
    // As if pidfd_getfd were refused: what is recorded is not to be had.
    host.record.write({ ...record, listeners: record.listeners.map(({ name }) => ({ name, inode: 1 })) });
    await using supervisor = await host.openHttp();
    expect(groupIsGone(pid)).toBe(true);
    expect(host.log.at("warn")).toEqual([
      "Stopping the app left by the last agent: its listener can't be taken back",
    ]);
    // An agent that comes after one that gets no further must not take it for a crash.
    expect(readRecord(host).stopping).toBe(true);
    expect(await supervisor.resume("v1", c)).toBe("started");
    await host.serves("v1");
  });
});

describe("after a kill -9 of the agent", () => {
  test.each([
    [null, "127.0.0.1"],
    ["127.0.0.1", null],
  ])("a port on %p is not taken for one on %p: the app is stopped, the port bound anew", async (was, is) => {
    await using host = new AppHost();
    host.httpRelease("v1");
    const at = (address: string | null) => [{ ...host.listen, host: address }];
    const pid = await killedAgent(host, "v1", { command: httpCommand, listen: at(was) });
    await using supervisor = await host.openHttp({ listen: at(is) });
    expect(groupIsGone(pid)).toBe(true);
    expect(host.log.at("warn")).toHaveLength(1);
    expect(await supervisor.resume("v1", c)).toBe("started");
    const [recorded] = readRecord(host).listeners;
    expect(inodesAt({ ...host.listen, host: is })).toEqual([recorded?.inode ?? 0]);
  });

  test.each(["", "{"])(
    "without a usable record (%p) an app without a port is found, and adopted",
    async (text) => {
      await using host = new AppHost();
      host.shellRelease("v1", shellApps.stays);
      const pid = await killedAgent(host, "v1");
      await Bun.write(host.record.path, text);
      await using supervisor = await host.open();
      expect(await supervisor.resume("v1", c)).toBe("adopted");
      expect(pidOf(supervisor)).toBe(pid);
    },
  );

  test("a port the app itself has closed is bound anew, and the app adopted", async () => {
    await using host = new AppHost();
    host.shellRelease("v1", "exec 3>&-; exec sleep 1000");
    const pid = await killedAgent(host, "v1", { listen: [host.listen] });
    await using supervisor = await host.open({ listen: [host.listen] });
    expect(host.log.at("warn")).toEqual([]);
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(pidOf(supervisor)).toBe(pid);
  });
});

describe("a record", () => {
  test.each<[string, (record: SupervisorRecord) => unknown]>([
    ["of another boot", (record) => ({ ...record, bootId: "another" })],
    ["of another version", (record) => ({ ...record, version: 2 })],
    ["that is torn", (record) => JSON.stringify(record).slice(0, 40)],
    ["that is empty", () => ""],
  ])("%s is none", async (_, spoil) => {
    await using host = new AppHost();
    const bystander = Bun.spawn(["sleep", "1000"], { detached: true });
    const generation = {
      number: 1,
      pid: bystander.pid,
      startTicks: processStat(bystander.pid)?.startTicks ?? 0,
      release: "v1",
    };
    host.record.write({ command: [], listeners: [], generations: [generation] });
    const spoilt = spoil(readRecord(host));
    await Bun.write(host.record.path, typeof spoilt === "string" ? spoilt : JSON.stringify(spoilt));
    expect(host.record.read()).toBeNull();
    const supervisor = await host.open();
    await supervisor[Symbol.asyncDispose]();
    expect(groupIsGone(bystander.pid)).toBe(false);
    killGroup(bystander.pid);
  });

  test("whose pid is another process by now is not followed", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    const bystander = Bun.spawn(["sleep", "1000"], { detached: true });
    host.record.write({
      command: [],
      listeners: [],
      generations: [{ number: 1, pid: bystander.pid, startTicks: 1, release: "v1" }],
    });
    const supervisor = await host.open();
    expect(await supervisor.resume("v1", c)).toBe("started");
    await supervisor[Symbol.asyncDispose]();
    expect(groupIsGone(bystander.pid)).toBe(false);
    killGroup(bystander.pid);
  });

  test("round-trips", async () => {
    await using host = new AppHost();
    expect(host.record.read()).toBeNull();
    const record = {
      command: ["./app", "--x"],
      listeners: [{ name: "8000", inode: 7 }],
      generations: [{ number: 2, pid: null, startTicks: null, release: null }],
      rehearsals: [],
      ended: [],
      keeper: "@7",
      stopping: true,
    };
    host.record.write(record);
    expect(host.record.read()).toEqual({ version: 1, bootId: bootId(), ...record });
  });

  test("that can't be written is a warning, and the app runs", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease("v1", shellApps.stays));
    Bun.spawnSync(["mkdir", host.record.path]);
    await using supervisor = await host.open();
    await supervisor.resume("v1", c);
    expect(supervisor.state.kind).toBe("running");
    expect(host.log.at("warn")).toContain("Supervisor record not written");
  });
});

describe("an app that another supervisor of the protocol started", () => {
  test("and left running is adopted", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease("v1"));
    const { app, supervisorEnds } = await foreignApp(host, host.root);
    supervisorEnds();
    await using supervisor = await host.openHttp();
    expect(await supervisor.resume("v1", c)).toBe("adopted");
    expect(pidOf(supervisor)).toBe(app.pid);
    expect(supervisor.state).toMatchObject({ current: { number: 5 } });
    expect(await host.ask()).toStartWith("v1 5 ");
    await supervisor.restart(c);
    await until("it is gone", () => groupIsGone(app.pid));
    await app.exited;
    expect(await host.ask()).toStartWith("v1 6 ");
  });

  test("and still supervises keeps its port: the error names who holds it", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease("v1"));
    const { app, supervisorEnds } = await foreignApp(host, host.root);
    await expect(host.openHttp()).rejects.toMatchObject({
      code: "port-in-use",
      message: expect.stringMatching(new RegExp(`port ${host.port} is in use by .*pid ${process.pid} \\(`)),
    });
    expect(groupIsGone(app.pid)).toBe(false);
    supervisorEnds();
    killGroup(app.pid);
    await app.exited;
  });

  test("in another directory keeps its port", async () => {
    await using host = new AppHost();
    await using other = new AppHost();
    other.switchTo(other.httpRelease("v1"));
    const { app, supervisorEnds } = await foreignApp(host, other.root);
    supervisorEnds();
    await expect(host.openHttp()).rejects.toMatchObject({
      code: "port-in-use",
      message: expect.stringContaining(`pid ${app.pid}`),
    });
    killGroup(app.pid);
    await app.exited;
  });
});

function httpOptions(host: AppHost) {
  return { command: httpCommand, listen: [host.listen] };
}

function readRecord(host: AppHost): SupervisorRecord {
  const record = host.record.read();
  if (record === null) throw new Error("no record");
  return record;
}

/** Starts the host's app as server-starter would; this process holds the listener until `supervisorEnds()`. */
async function foreignApp(host: AppHost, cwd: string) {
  const listener = await openListener(host.listen);
  const app = Bun.spawn([...httpCommand], {
    cwd,
    detached: true,
    env: { ...process.env, SERVER_STARTER_PORT: `${host.port}=3`, SERVER_STARTER_GENERATION: "5" },
    stdio: ["ignore", "inherit", "inherit", listener.fd],
  });
  await host.serves("v1");
  return { app, supervisorEnds: () => listener.release() };
}
