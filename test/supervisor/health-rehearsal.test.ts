import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { rehearsalVariable } from "../../src/process/environment.ts";
import type { HealthOptions } from "../../src/supervisor/checker.ts";
import { environment, processIds, processStat } from "../../src/util/procfs.ts";
import { AppHost, environmentOf, groupIsGone, httpCommand, pidOf, shellApps } from "../support/app-host.ts";
import type { GateBehaviour } from "../support/gate-app.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const health: HealthOptions = {
  path: "/up",
  command: null,
  timeoutMs: 2500,
  intervalMs: 100,
  passes: 2,
  threshold: 3,
};

/** For versions that get well: a machine under load may take its time. */
const patient: HealthOptions = { ...health, timeoutMs: 40_000 };
const testMs = 60_000;

/** The processes of a directory's rehearsals. */
function rehearsing(root: string): number[] {
  return processIds().filter((pid) => {
    const env = environment(pid);
    return env.get("DEWY_ROOT") === root && env.has(rehearsalVariable);
  });
}

describe("with a rehearsal", () => {
  test.each<[string, GateBehaviour, string]>([
    ["exits at once", { exits: { code: 7, afterMs: 0 } }, "start-failed"],
    ["exits inside the gate", { status: 500, exits: { code: 8, afterMs: 1000 } }, "start-failed"],
    ["takes connections and never answers", { is: "mute" }, "health-failed"],
    ["never takes a connection", { is: "deaf" }, "health-failed"],
    ["answers 500", { status: 500 }, "health-failed"],
  ])(
    "a version that %s never gets a client's request",
    async (_, behaviour, code) => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", behaviour);
      // One that is to end by itself has its time to do so.
      const options = code === "start-failed" ? patient : health;
      await using supervisor = await host.openHttp({ health: options, rehearse: true });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      const load = startLoad(host.port, { kept: 2, fresh: 2 });
      await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
        code,
        message: expect.stringContaining("in its rehearsal"),
      });
      const { failures, answers } = await load.stop();
      expect(failures).toEqual([]);
      expect([...answers.keys()]).toEqual(["v1"]);
      expect(rehearsing(host.root)).toEqual([]);
      expect(host.record.read()).toMatchObject({ rehearsals: [], generations: [{ number: 1 }] });
      expect(host.steps).toEqual([]);
    },
    testMs,
  );

  test(
    "a version finds itself by its own path, and `current` leads to the old one until it has passed",
    async () => {
      await using host = new AppHost();
      host.shellRelease("v1", shellApps.stays);
      host.shellRelease(
        "v2",
        'echo "$0 $DEWY_RELEASE_DIR $(readlink current) $1" >> started\nexec sleep 1000',
      );
      host.switchTo("v1");
      const command = ["./current/app", "--config=./current/x"];
      const checked = { ...patient, path: null, command: 'test -x "$DEWY_RELEASE_DIR/app"' };
      await using supervisor = await host.open({ command, health: checked, rehearse: true });
      await supervisor.resume("v1", c);
      await supervisor.replace(host.change("v2", "v1"), c);
      const own = join(host.root, "releases/v2");
      const started = () => readFileSync(join(host.root, "started"), "utf8").trim().split("\n");
      await until("it has said so twice", () => started().length === 2);
      expect(started()).toEqual([
        `${own}/app ${own} releases/v1 --config=./releases/v2/x`,
        `${join(host.root, "current")}/app ${own} releases/v2 --config=./current/x`,
      ]);
    },
    testMs,
  );

  test(
    "a unix socket's app that has a user of its own is asked by a command that runs as him",
    async () => {
      await using host = new AppHost();
      chmodSync(host.root, 0o755);
      mkdirSync(join(host.root, "tmp"), { mode: 0o700 });
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", {});
      const listen = [{ kind: "unix", path: join(host.root, "app.sock") } as const];
      const bun = realpathSync(process.execPath);
      const ask = `await fetch("http://app/", { unix: process.env.DEWY_SOCKET })`;
      const command = `test -z "$DEWY_REHEARSAL" || ${bun} -e '${ask}'`;
      await using supervisor = await host.open({
        command: [bun, ...httpCommand.slice(1)],
        listen,
        user: { uid: 54_321, gid: 4242, groups: [4242], name: "app", home: "/" },
        health: { ...patient, path: null, command },
        rehearse: true,
      });
      await supervisor.resume("v1", c);
      expect(await supervisor.replace(host.change("v2", "v1"), c)).toBe("restarted");
    },
    testMs,
  );

  test(
    "a good version is started twice, and serves as the next generation",
    async () => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", {});
      await using supervisor = await host.openHttp({ health: patient, rehearse: true });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      const load = startLoad(host.port, { kept: 2, fresh: 2 });
      expect(await supervisor.replace(host.change("v2", "v1"), c)).toBe("restarted");
      expect((await load.stop()).failures).toEqual([]);
      expect(await host.serves("v2")).toStartWith("v2 2 ");
      expect(host.log.at("info").filter((message) => message.startsWith("Rehearsal"))).toEqual([
        "Rehearsal started",
        "Rehearsal passed",
      ]);
      expect(rehearsing(host.root)).toEqual([]);
      expect(environment(pidOf(supervisor)).has(rehearsalVariable)).toBe(false);
    },
    testMs,
  );

  test(
    "one that is well only in its rehearsal still has to pass on the real sockets",
    async () => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", { is: "deaf", inRehearsal: {} });
      await using supervisor = await host.openHttp({
        health: { ...health, timeoutMs: 8000 },
        rehearse: true,
      });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
        code: "health-failed",
        message: expect.stringMatching(/^the new version never took a connection/),
      });
    },
    testMs,
  );

  test("a unix socket's app is rehearsed on another one, whose place goes again", async () => {
    await using host = new AppHost();
    const path = join(host.root, "app.sock");
    host.switchTo(host.gateRelease("v1", {}));
    host.gateRelease("v2", { status: 500 });
    const listen = [{ kind: "unix", path } as const];
    await using supervisor = await host.open({ command: httpCommand, listen, health, rehearse: true });
    await supervisor.resume("v1", c);
    await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
      code: "health-failed",
      message: expect.stringContaining("in its rehearsal"),
    });
    expect(existsSync(path)).toBe(true);
    expect(readdirSync(join(host.root, "tmp"))).toEqual([]);
  });

  test("the end of the server that runs ends it, so that it is started again", async () => {
    await using host = new AppHost();
    host.switchTo(host.gateRelease("v1", {}));
    host.gateRelease("v2", { is: "deaf" });
    const slow = { ...health, timeoutMs: 600_000 };
    await using supervisor = await host.openHttp({ health: slow, rehearse: true });
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const replacing = supervisor.replace(host.change("v2", "v1"), c);
    await until("it is rehearsed", () => rehearsing(host.root).length > 0);
    process.kill(pidOf(supervisor), "SIGKILL");
    await expect(replacing).rejects.toMatchObject({ code: "serving-ended" });
    expect(await host.serves("v1")).toStartWith("v1 2 ");
  });

  test.each<[string, boolean]>([
    ["that is rehearsed", true],
    ["that is checked", false],
  ])("what ends a version %s and what serves at once is no fault of the version's", async (_, rehearse) => {
    await using host = new AppHost();
    host.switchTo(host.gateRelease("v1", {}));
    host.gateRelease("v2", { is: "deaf" });
    const slow = { ...health, timeoutMs: 600_000 };
    await using supervisor = await host.openHttp({ health: slow, rehearse });
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const serving = pidOf(supervisor);
    const replacing = supervisor.replace(host.change("v2", "v1"), c);
    const checked = ({ state } = supervisor) => (state.kind === "reloading" ? [state.next.pid] : []);
    const [next = 0] = await until("it runs", () => {
      const pids = rehearse ? rehearsing(host.root) : checked();
      return pids.length > 0 && pids;
    });
    process.kill(next, "SIGKILL");
    process.kill(serving, "SIGKILL");
    await expect(replacing).rejects.toMatchObject({ code: "serving-ended", blame: "environment" });
    await host.serves("v1");
  });

  test(
    "a restart, and a way back, have none",
    async () => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", { inRehearsal: { status: 500 } });
      await using supervisor = await host.openHttp({ health: patient, rehearse: true });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      await supervisor.restart(c);
      await supervisor.replace(host.change("v2", "v1", { kind: "return" }), c);
      expect(await host.serves("v2")).toStartWith("v2 3 ");
    },
    testMs,
  );
});

describe("a rehearsal whose agent was killed", () => {
  test.each(["was noted", "was not noted yet"])(
    "and that %s is stopped, and never taken for the app",
    async (how) => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      const left = Bun.spawn(["sleep", "1000"], {
        cwd: host.root,
        env: {
          DEWY_ROOT: host.root,
          DEWY_REHEARSAL: "1",
          SERVER_STARTER_GENERATION: "1",
          PATH: process.env["PATH"],
        },
        detached: true,
        stdio: ["ignore", "ignore", "ignore"],
      });
      // Until its exec is through it has no environment to be known by.
      await environmentOf(left.pid, "sleep");
      if (how === "was noted") {
        const { startTicks } = processStat(left.pid) ?? { startTicks: 0 };
        const noted = { number: 1, pid: left.pid, startTicks, release: "v1" };
        host.record.write({ command: [], listeners: [], generations: [], rehearsals: [noted] });
      }
      await using supervisor = await host.openHttp();
      expect(groupIsGone(left.pid)).toBe(true);
      expect(await supervisor.resume("v1", c)).toBe("started");
      expect(await host.serves("v1")).toStartWith("v1 1 ");
    },
  );
});
