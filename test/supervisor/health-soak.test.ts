import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { HealthOptions } from "../../src/supervisor/checker.ts";
import { AppHost, groupIsGone, httpCommand, pidOf } from "../support/app-host.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const testMs = 60_000;
const health: HealthOptions = {
  path: "/up",
  command: null,
  timeoutMs: 40_000,
  intervalMs: 100,
  passes: 2,
  threshold: 3,
};

describe("while a version is on probation", () => {
  test(
    "failed checks in a row are told once, and again only after it was well",
    async () => {
      await using host = new AppHost();
      const statusFile = join(host.root, "status");
      host.gateRelease("v1", { statusFile });
      await using supervisor = await host.openHttp({ health });
      await supervisor.replace(host.change("v1", null), c);
      host.isSoaking = true;
      await Bun.write(statusFile, "500");
      await until("it is told to be sick", () => host.sicknesses.length > 0);
      expect(host.sicknesses).toEqual([
        {
          release: "v1",
          kind: "sick",
          reason: expect.stringMatching(/^3 checks in a row failed: GET .*500$/),
        },
      ]);
      const failures = supervisor.checks?.failures ?? 0;
      await until("it was checked again", () => (supervisor.checks?.failures ?? 0) > failures + 2);
      expect(host.sicknesses).toHaveLength(1);
      await Bun.write(statusFile, "200");
      const passed = () => host.log.at("info").filter((message) => message === "Health check passed").length;
      await until("it is well again", () => passed() === 2);
      await Bun.write(statusFile, "404");
      await until("it is told a second time", () => host.sicknesses.length === 2);
    },
    testMs,
  );

  test(
    "one that hangs is sick, too",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      await using supervisor = await host.openHttp({ health: { ...health, timeoutMs: 8000, threshold: 1 } });
      await supervisor.replace(host.change("v1", null), c);
      host.isSoaking = true;
      process.kill(pidOf(supervisor), "SIGSTOP");
      await until("it is told to be sick", () => host.sicknesses.length > 0);
      process.kill(pidOf(supervisor), "SIGCONT");
      expect(host.sicknesses[0]?.reason).toContain("no answer");
    },
    testMs,
  );

  test(
    "a crash is told as one, and what is started again has its time to get well",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", { wellAfterMs: 1500 });
      await using supervisor = await host.openHttp({ health: { ...health, passes: 1 } });
      await supervisor.replace(host.change("v1", null), c);
      host.isSoaking = true;
      process.kill(pidOf(supervisor), "SIGKILL");
      await until("its crash is told", () => host.crashes.length === 1);
      const passed = () => host.log.at("info").filter((message) => message === "Health check passed").length;
      await until("it is well again", () => passed() === 2);
      expect(host.sicknesses).toEqual([]);
    },
    testMs,
  );

  test(
    "nothing is checked once it is over",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      await using supervisor = await host.openHttp({ health });
      await supervisor.replace(host.change("v1", null), c);
      const made = () => supervisor.checks?.checks ?? 0;
      const before = made();
      host.isSoaking = true;
      await until("it was checked", () => made() > before);
      host.isSoaking = false;
      const turns = async (count: number) => {
        const asked = host.soakingAsked;
        await until("it had its turns", () => host.soakingAsked >= asked + count);
      };
      // One may be under way.
      await turns(1);
      const checks = made();
      await turns(5);
      expect(made()).toBe(checks);
    },
    testMs,
  );
});

describe("going back", () => {
  test(
    "from a version that died is a start at once, with no client turned away",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      host.switchTo(host.gateRelease("v2", {}));
      await using supervisor = await host.openHttp({ health, minUptimeMs: 500 });
      await supervisor.resume("v2", c);
      await host.serves("v2");
      process.kill(pidOf(supervisor), "SIGKILL");
      await until("its death is noticed", () => supervisor.state.kind === "backoff");
      const waiting = host.ask();
      expect(await supervisor.replace(host.change("v1", "v2", { kind: "return" }), c)).toBe("started");
      expect(await waiting).toMatch(/^v[12] /);
      expect(supervisor.state).toMatchObject({ kind: "running", release: "v1" });
    },
    testMs,
  );

  test(
    "from a sick version starts first, and does not wait for the sick one to settle",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      host.switchTo(host.gateRelease("v2", { status: 500 }));
      await using supervisor = await host.openHttp({ health, minUptimeMs: 300 });
      await supervisor.resume("v2", c);
      const sick = pidOf(supervisor);
      await supervisor.replace(host.change("v1", "v2", { kind: "return" }), c);
      await until("the sick one is gone", () => groupIsGone(sick));
      expect(await host.serves("v1")).toStartWith("v1 2 ");
    },
    testMs,
  );

  test(
    "is not refused because the checks of the old version fail, too",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", { status: 500 });
      host.switchTo(host.gateRelease("v2", { status: 500 }));
      await using supervisor = await host.openHttp({ health: { ...health, timeoutMs: 700 } });
      await supervisor.resume("v2", c);
      await supervisor.replace(host.change("v1", "v2", { kind: "return" }), c);
      expect(supervisor.state).toMatchObject({ kind: "running", release: "v1" });
      expect(host.log.at("warn")).toContain("Went back to a release whose checks fail, too");
    },
    testMs,
  );

  test(
    "is refused where the old version does not stay up",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", { exits: { code: 9, afterMs: 0 } });
      host.switchTo(host.gateRelease("v2", {}));
      await using supervisor = await host.openHttp({ health, minUptimeMs: 2000 });
      await supervisor.resume("v2", c);
      await host.serves("v2");
      const change = host.change("v1", "v2", { kind: "return" });
      await expect(supervisor.replace(change, c)).rejects.toMatchObject({ code: "start-failed" });
      expect(supervisor.state).toMatchObject({ kind: "running", release: "v2" });
    },
    testMs,
  );
});

describe("where nobody can tell who answered (a unix socket)", () => {
  test.each([
    ["well", undefined],
    ["sick", { release: "v2", kind: "unproven", reason: expect.stringContaining("500") }],
  ] as const)(
    "a version that is %s is found out after the switch",
    async (how, sickness) => {
      await using host = new AppHost();
      const listen = [{ kind: "unix", path: join(host.root, "app.sock") } as const];
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", how === "sick" ? { status: 500 } : {});
      const options = {
        command: httpCommand,
        listen,
        health: how === "sick" ? { ...health, timeoutMs: 1500 } : health,
      };
      await using supervisor = await host.open(options);
      await supervisor.resume("v1", c);
      const old = pidOf(supervisor);
      await supervisor.replace(host.change("v2", "v1"), c);
      expect(supervisor.state).toMatchObject({ kind: "running", release: "v2" });
      expect(host.log.at("warn")[0]).toStartWith("Can't tell which version takes a connection");
      await until("the old one is gone", () => groupIsGone(old));
      await until("it was found out", () =>
        sickness === undefined
          ? host.log.at("info").includes("Health check passed")
          : host.sicknesses.length > 0,
      );
      expect(host.sicknesses).toEqual(sickness === undefined ? [] : [sickness]);
    },
    testMs,
  );

  test(
    "one that takes no connection is found out though the old one still answers for a while",
    async () => {
      await using host = new AppHost();
      const listen = [{ kind: "unix", path: join(host.root, "app.sock") } as const];
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", { is: "deaf" });
      const options = { ...health, timeoutMs: 1500 };
      const killOldDelayMs = 1500;
      await using supervisor = await host.open({
        command: httpCommand,
        listen,
        health: options,
        killOldDelayMs,
      });
      await supervisor.resume("v1", c);
      const old = pidOf(supervisor);
      await supervisor.replace(host.change("v2", "v1"), c);
      host.isSoaking = true;
      expect(groupIsGone(old)).toBe(false);
      await until("it was found out", () => host.sicknesses.length > 0);
      expect(groupIsGone(old)).toBe(true);
      expect(host.sicknesses).toMatchObject([{ release: "v2", kind: "unproven" }]);
      expect(host.log.at("info")).not.toContain("Health check passed");
    },
    testMs,
  );

  test(
    "a health command decides before the switch all the same",
    async () => {
      await using host = new AppHost();
      const listen = [{ kind: "unix", path: join(host.root, "app.sock") } as const];
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", {});
      const options = { ...health, command: "exit 3", timeoutMs: 1000 };
      await using supervisor = await host.open({ command: httpCommand, listen, health: options });
      await supervisor.resume("v1", c);
      await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
        code: "health-failed",
        message: expect.stringContaining("exited with code 3"),
      });
      expect(supervisor.state).toMatchObject({ release: "v1" });
    },
    testMs,
  );
});

describe("a health command", () => {
  test(
    "is told which process it is about and where it listens, and not what the app inherits",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      const command = "env > seen; kill -0 $DEWY_PID";
      await using supervisor = await host.openHttp({ health: { ...health, path: null, command, passes: 1 } });
      await supervisor.replace(host.change("v1", null), c);
      const seen = (await Bun.file(join(host.root, "seen")).text()).split("\n");
      expect(seen).toContain(`DEWY_PID=${pidOf(supervisor)}`);
      expect(seen).toContain(`DEWY_PORT=${host.port}`);
      expect(seen.filter((line) => /^(SERVER_STARTER|LISTEN_)/.test(line))).toEqual([]);
    },
    testMs,
  );

  test(
    "has to pass as often in a row as wanted",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      // Good, bad, good, good, …
      const command = 'echo x >> runs; test "$(wc -l < runs)" -ne 2';
      await using supervisor = await host.openHttp({ health: { ...health, path: null, command, passes: 3 } });
      await supervisor.replace(host.change("v1", null), c);
      expect(await Bun.file(join(host.root, "runs")).text()).toBe("x\n".repeat(5));
      expect(supervisor.checks).toEqual({ checks: 5, failures: 1 });
    },
    testMs,
  );

  test(
    "that fails keeps a version out whose path answers well",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      await using supervisor = await host.openHttp({
        health: { ...health, command: "exit 1", timeoutMs: 1000 },
      });
      await expect(supervisor.replace(host.change("v1", null), c)).rejects.toMatchObject({
        code: "health-failed",
      });
    },
    testMs,
  );

  test(
    "sees the private port in a rehearsal",
    async () => {
      await using host = new AppHost();
      host.gateRelease("v1", {});
      const command = 'echo "$DEWY_REHEARSAL $DEWY_PORT" >> seen';
      const options = { ...health, path: null, command, passes: 1 };
      await using supervisor = await host.openHttp({ health: options, rehearse: true });
      await supervisor.replace(host.change("v1", null), c);
      const [rehearsed = "", real = ""] = (await Bun.file(join(host.root, "seen")).text()).split("\n");
      expect(rehearsed).toMatch(/^1 \d+$/);
      expect(rehearsed).not.toContain(`${host.port}`);
      expect(real).toBe(` ${host.port}`);
    },
    testMs,
  );
});

test(
  "a load on a version that is on probation sees nothing of its checks",
  async () => {
    await using host = new AppHost();
    host.switchTo(host.gateRelease("v1", {}));
    host.gateRelease("v2", {});
    host.isSoaking = true;
    await using supervisor = await host.openHttp({ health });
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const load = startLoad(host.port, { kept: 2, fresh: 2 });
    await supervisor.replace(host.change("v2", "v1"), c);
    const checks = supervisor.checks?.checks ?? 0;
    await until("it was checked", () => (supervisor.checks?.checks ?? 0) > checks + 5);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(host.sicknesses).toEqual([]);
  },
  testMs,
);
