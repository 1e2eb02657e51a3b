import { describe, expect, test } from "bun:test";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { AppHost, pidOf, shellApps } from "../support/app-host.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const none = { deploy: 0, signal: 0, crash: 0 };

describe("restarts are counted by their reason", () => {
  test("the first start is none, a deploy over a running app is one, a failed one is none", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    await supervisor.replace(host.change(host.shellRelease("v1", shellApps.stays), null), c);
    expect(supervisor.restarts).toEqual(none);
    await supervisor.replace(host.change(host.shellRelease("v2", shellApps.stays), "v1"), c);
    expect(supervisor.restarts).toEqual({ ...none, deploy: 1 });
    const failing = supervisor.replace(host.change(host.shellRelease("v3", shellApps.dies), "v2"), c);
    expect(await failing.catch(() => "failed")).toBe("failed");
    expect(supervisor.restarts).toEqual({ ...none, deploy: 1 });
  });

  test("a signal", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    await supervisor.restart(c);
    expect(supervisor.restarts).toEqual(none);
    await supervisor.replace(host.change(host.shellRelease("v1", shellApps.stays), null), c);
    await supervisor.restart(c);
    expect(supervisor.restarts).toEqual({ ...none, signal: 1 });
  });

  test("a crash, once the app is started again", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    await supervisor.replace(host.change(host.shellRelease("v1", shellApps.stays), null), c);
    process.kill(pidOf(supervisor), "SIGKILL");
    await until("the app is away", () => supervisor.state.kind === "backoff");
    expect(supervisor.restarts).toEqual(none);
    await until("it runs again", () => supervisor.state.kind === "running");
    expect(supervisor.restarts).toEqual({ ...none, crash: 1 });
  });

  test("one that the host is at fault for is told as such", async () => {
    await using host = new AppHost();
    const envDir = join(host.root, "env");
    mkdirSync(envDir);
    await using supervisor = await host.open({ envDir });
    await supervisor.replace(host.change(host.shellRelease("v1", shellApps.stays), null), c);
    rmdirSync(envDir);
    process.kill(pidOf(supervisor), "SIGKILL");
    await until("it could not be started", () => host.crashes.length >= 2);
    expect(host.crashes.slice(0, 2)).toMatchObject([
      { blame: "release", reason: "the server was killed by SIGKILL" },
      { blame: "environment", reason: expect.stringContaining("read ENVDIR") },
    ]);
    mkdirSync(envDir);
    await until("it runs again", () => supervisor.state.kind === "running");
  });

  test("a signal that comes while a crash is waited out is a signal's", async () => {
    await using host = new AppHost();
    await using supervisor = await host.open();
    await supervisor.replace(host.change(host.shellRelease("v1", shellApps.stays), null), c);
    process.kill(pidOf(supervisor), "SIGKILL");
    await until("the app is away", () => supervisor.state.kind === "backoff");
    await supervisor.restart(c);
    expect(supervisor.state.kind).toBe("running");
    expect(supervisor.restarts).toEqual({ ...none, signal: 1 });
  });
});
