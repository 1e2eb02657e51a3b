import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ActivationSteps } from "../../src/activate/activator.ts";
import { ReleaseDirectory } from "../../src/activate/release-dir.ts";
import { serverActivator } from "../../src/activate/server.ts";
import type { SupervisorOptions } from "../../src/supervisor/supervisor.ts";
import { AppHost, groupIsGone, httpCommand, pidOf, shellApps, sleeps } from "../support/app-host.ts";
import { FakeClock } from "../support/clock.ts";
import { until } from "../support/until.ts";

const c = { signal: new AbortController().signal };
const [v1, v2] = ["20261121T100000Z", "20261121T110000Z"] as const;

async function activate(host: AppHost, changes: Partial<SupervisorOptions> = {}) {
  const releases = new ReleaseDirectory(host.root, new FakeClock());
  const supervisor = await host.open(changes);
  const activator = serverActivator(releases, supervisor, host.log);
  const to = (release: string, steps: Partial<ActivationSteps> = {}) =>
    activator.activate({ tag: release, release }, { ...nothing, ...steps }, c);
  return {
    releases,
    supervisor,
    activator,
    to,
    [Symbol.asyncDispose]: () => activator[Symbol.asyncDispose](),
  };
}

const nothing: ActivationSteps = { async switched() {}, async commit() {} };

describe("activating a server", () => {
  test("link, after hook, start, proof, commit: in this order", async () => {
    await using host = new AppHost();
    host.shellRelease(v1, shellApps.stays);
    await using server = await activate(host);
    const seen: string[] = [];
    const { how } = await server.to(v1, {
      async switched() {
        seen.push(`switched: ${server.releases.active() === v1}, ${server.activator.status().kind}`);
      },
      async commit() {
        seen.push(`commit: ${server.activator.status().kind}`);
      },
    });
    expect(how).toBe("started");
    expect(seen).toEqual(["switched: true, idle", "commit: starting"]);
    expect(server.activator.status()).toEqual({
      kind: "serving",
      release: v1,
      pid: pidOf(server.supervisor),
      generation: 1,
    });
    expect(host.log.at("info")).toEqual(["Create symlink", "Start server"]);
  });

  test("over a running one is a restart, whose record carries the agent's pid", async () => {
    await using host = new AppHost();
    for (const release of [v1, v2]) host.shellRelease(release, shellApps.stays);
    await using server = await activate(host);
    await server.to(v1);
    await sleeps(server.supervisor);
    expect(await server.to(v2)).toEqual({ how: "restarted" });
    expect(host.log.records.at(-1)).toMatchObject({
      message: "Send SIGHUP for server restart",
      attributes: { pid: process.pid },
    });
  });

  test.each<[string, string, Partial<ActivationSteps>, string]>([
    ["dies", shellApps.dies, {}, "exited with code 3"],
    ["is refused by the after hook", shellApps.stays, { switched: failing }, "on purpose"],
    ["can't be committed", shellApps.stays, { commit: failing }, "on purpose"],
  ])("that %s leaves the old one running and `current` at it", async (_, app, steps, message) => {
    await using host = new AppHost();
    host.shellRelease(v1, shellApps.stays);
    host.shellRelease(v2, app);
    await using server = await activate(host);
    await server.to(v1);
    await sleeps(server.supervisor);
    const pid = pidOf(server.supervisor);
    await expect(server.to(v2, steps)).rejects.toThrow(message);
    expect(server.releases.active()).toBe(v1);
    expect(server.activator.status()).toEqual({ kind: "serving", release: v1, pid, generation: 1 });
    expect(groupIsGone(pid)).toBe(false);
  });

  test("that dies on a fresh host leaves no link", async () => {
    await using host = new AppHost();
    host.shellRelease(v1, shellApps.dies);
    await using server = await activate(host);
    await expect(server.to(v1)).rejects.toMatchObject({ code: "start-failed" });
    expect(server.releases.linkTarget()).toBeNull();
    expect(server.activator.status()).toEqual({ kind: "idle" });
  });

  test("where `current` is a real directory fails with the old one untouched", async () => {
    await using host = new AppHost();
    host.shellRelease(v1, shellApps.stays);
    await Bun.write(join(host.root, "current/precious"), "precious");
    await using server = await activate(host);
    await expect(server.to(v1)).rejects.toMatchObject({ code: "filesystem", hint: expect.anything() });
    expect(readFileSync(join(host.root, "current/precious"), "utf8")).toBe("precious");
    expect(server.supervisor.state).toEqual({ kind: "stopped" });
  });
});

describe("serving again", () => {
  test("nothing, when nothing is recorded", async () => {
    await using host = new AppHost();
    await using server = await activate(host);
    await server.activator.resume(null, c);
    await server.activator.restart(c);
    expect(server.activator.status()).toEqual({ kind: "idle" });
  });

  test("the recorded release, and again after a signal", async () => {
    await using host = new AppHost();
    host.switchTo(host.httpRelease(v1));
    await using server = await activate(host, { command: httpCommand, listen: [host.listen] });
    await server.activator.resume(v1, c);
    expect(await host.serves(v1)).toStartWith(`${v1} 1 `);
    await server.activator.restart(c);
    await until("the second generation answers alone", async () => (await host.ask()).startsWith(`${v1} 2 `));
    expect(host.log.at("info")).toEqual(["Start server"]);
  });

  test("a release that keeps dying is down, with the reason", async () => {
    await using host = new AppHost();
    host.switchTo(host.shellRelease(v1, shellApps.dies));
    await using server = await activate(host);
    await server.activator.resume(v1, c);
    await until("it is down", () => server.activator.status().kind === "down");
    expect(server.activator.status()).toEqual({ kind: "down", reason: "the server exited with code 3" });
  });
});

async function failing(): Promise<void> {
  throw new Error("on purpose");
}
