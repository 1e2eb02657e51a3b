import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { HealthOptions } from "../../src/supervisor/checker.ts";
import { AppHost, groupIsGone, pidOf } from "../support/app-host.ts";
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

const bad: [string, GateBehaviour, { code: string; message: RegExp }][] = [
  [
    "exits at once",
    { exits: { code: 7, afterMs: 0 } },
    { code: "start-failed", message: /exited with code 7/ },
  ],
  [
    "exits inside the gate, past the minimum uptime",
    { status: 500, exits: { code: 8, afterMs: 1000 } },
    { code: "start-failed", message: /exited with code 8 before it had proved itself/ },
  ],
  [
    "takes connections and never answers",
    { is: "mute" },
    { code: "health-failed", message: /did not get healthy within 8s: GET .*no answer/ },
  ],
  [
    "never takes a connection, so that only the old one answers",
    { is: "deaf" },
    { code: "health-failed", message: /never took a connection within 8s; only the old one answered/ },
  ],
  ["answers 500", { status: 500 }, { code: "health-failed", message: /GET http:.*\/up: 500/ }],
];

describe("a server that ends while a new version is checked", () => {
  test("is started again at once, and the new one is given up without being blamed", async () => {
    await using host = new AppHost();
    host.switchTo(host.gateRelease("v1", {}));
    host.gateRelease("v2", { is: "mute" });
    await using supervisor = await host.openHttp({ health: patient });
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const old = pidOf(supervisor);
    const replacing = supervisor.replace(host.change("v2", "v1"), c);
    const failure = replacing.catch((error: unknown) => error);
    await until("both are up", () => supervisor.state.kind === "reloading");
    process.kill(old, "SIGKILL");
    expect(await failure).toMatchObject({
      message: "the server that runs was killed by SIGKILL while the new version was checked",
      code: "serving-ended",
      blame: "environment",
    });
    await host.serves("v1");
    expect(host.steps).toEqual(["prepare", "undo"]);
    expect(supervisor.state).toMatchObject({ kind: "running", release: "v1" });
  }, 60_000);
});

describe("a new version that", () => {
  test.each(bad)(
    "%s is stopped, and the old one serves throughout",
    async (_, behaviour, failure) => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", behaviour);
      await using supervisor = await host.openHttp({ health: { ...health, timeoutMs: 8000 } });
      await supervisor.resume("v1", c);
      const answer = await host.serves("v1");
      // A request of a client may reach the new version as soon as it accepts: it is asked by nobody else here.
      const replacing = supervisor.replace(host.change("v2", "v1"), c);
      await expect(replacing).rejects.toMatchObject({
        code: failure.code,
        message: expect.stringMatching(failure.message),
        hint: expect.anything(),
        blame: "release",
      });
      expect(host.steps).toEqual(["prepare", "undo"]);
      expect(supervisor.state).toMatchObject({ kind: "running", release: "v1" });
      expect(await host.ask()).toBe(answer);
      expect(readFileSync(join(host.root, "current/VERSION"), "utf8")).toBe("v1");
      expect(host.record.read()?.generations).toMatchObject([{ release: "v1" }]);
    },
    testMs,
  );

  test(
    "never takes a connection loses none of a load on the old one",
    async () => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", { is: "deaf" });
      await using supervisor = await host.openHttp({ health });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      const load = startLoad(host.port, { kept: 2, fresh: 2 });
      await expect(supervisor.replace(host.change("v2", "v1"), c)).rejects.toMatchObject({
        code: "health-failed",
      });
      const { failures, answers } = await load.stop();
      expect(failures).toEqual([]);
      expect([...answers.keys()]).toEqual(["v1"]);
    },
    testMs,
  );

  test.each<[string, GateBehaviour]>([
    ["is well at once", {}],
    ["redirects", { status: 302 }],
    ["gets well late", { wellAfterMs: 800 }],
    ["accepts late", { acceptsAfterMs: 1200 }],
  ])(
    "%s takes over once it answered well itself",
    async (_, behaviour) => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", behaviour);
      await using supervisor = await host.openHttp({ health: patient });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      const old = pidOf(supervisor);
      expect(await supervisor.replace(host.change("v2", "v1"), c)).toBe("restarted");
      await until("the old one is gone", () => groupIsGone(old));
      expect(await host.serves("v2")).toStartWith("v2 2 ");
      expect(host.log.at("info")).toContain("Health check passed");
      expect(host.log.at("warn")).toEqual([]);
    },
    testMs,
  );

  test(
    "gets well late is not committed before it is well",
    async () => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      host.gateRelease("v2", { wellAfterMs: 1000 });
      await using supervisor = await host.openHttp({ health: patient });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      const load = startLoad(host.port, { kept: 1, fresh: 1 });
      const sinceMs = performance.now();
      await supervisor.replace(host.change("v2", "v1"), c);
      await load.stop();
      expect(performance.now() - sinceMs).toBeGreaterThan(1000);
    },
    testMs,
  );

  test("is the first one is held to its health as well", async () => {
    await using host = new AppHost();
    host.gateRelease("v1", { status: 500 });
    await using supervisor = await host.openHttp({ health });
    await expect(supervisor.replace(host.change("v1", null), c)).rejects.toMatchObject({
      code: "health-failed",
    });
    expect(supervisor.state).toEqual({ kind: "stopped" });
  });
});

describe("under load", () => {
  test(
    "replacing by versions that are well loses no request",
    async () => {
      await using host = new AppHost();
      host.switchTo(host.gateRelease("v1", {}));
      for (const name of ["v2", "v3"]) host.gateRelease(name, {});
      await using supervisor = await host.openHttp({ health: patient });
      await supervisor.resume("v1", c);
      await host.serves("v1");
      const load = startLoad(host.port, { kept: 4, fresh: 4 });
      await supervisor.replace(host.change("v2", "v1"), c);
      await supervisor.replace(host.change("v3", "v2"), c);
      const { failures, answers } = await load.stop();
      expect(failures).toEqual([]);
      expect([...answers.keys()].sort()).toEqual(["v1", "v2", "v3"]);
    },
    testMs,
  );
});

describe("a restart of the same release", () => {
  test("goes through the gate too, and a failing one leaves the old process", async () => {
    await using host = new AppHost();
    const statusFile = join(host.root, "status");
    host.switchTo(host.gateRelease("v1", { statusFile }));
    await using supervisor = await host.openHttp({ health: { ...health, timeoutMs: 600 } });
    await supervisor.resume("v1", c);
    const answer = await host.serves("v1");
    await Bun.write(statusFile, "500");
    await expect(supervisor.restart(c)).rejects.toMatchObject({ code: "health-failed" });
    expect(await host.ask()).toBe(answer);
  });
});

test(
  "the old version is asked nothing that is meant for the new one",
  async () => {
    await using host = new AppHost();
    host.switchTo(host.gateRelease("v1", { notes: "requests" }));
    host.gateRelease("v2", { is: "deaf" });
    await using supervisor = await host.openHttp({ health });
    await supervisor.resume("v1", c);
    await host.serves("v1");
    const failing = supervisor.replace(host.change("v2", "v1"), c);
    await expect(failing).rejects.toMatchObject({
      message: expect.stringContaining("only the old one answered"),
    });
    const requests = readFileSync(join(host.root, "requests"), "utf8").trim().split("\n");
    expect(new Set(requests)).toEqual(new Set(["GET / HTTP/1.1"]));
  },
  testMs,
);

test("the wait ends with the agent: the new version is stopped, the old one left alone", async () => {
  await using host = new AppHost();
  host.switchTo(host.gateRelease("v1", {}));
  host.gateRelease("v2", { is: "deaf" });
  await using supervisor = await host.openHttp({ health: { ...health, timeoutMs: 600_000 } });
  await supervisor.resume("v1", c);
  const answer = await host.serves("v1");
  const stop = new AbortController();
  const replacing = supervisor.replace(host.change("v2", "v1"), stop);
  const next = await until(
    "the new one is up",
    () => supervisor.state.kind === "reloading" && supervisor.state.next,
  );
  stop.abort(new Error("told to stop"));
  await expect(replacing).rejects.toThrow("told to stop");
  expect(groupIsGone(next.pid)).toBe(true);
  expect(await host.ask()).toBe(answer);
});
