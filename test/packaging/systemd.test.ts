import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { environment, processUser } from "../../src/util/procfs.ts";
import { freePort } from "../support/free-port.ts";
import { TestHost } from "../support/host.ts";
import { startLoad } from "../support/load.ts";
import { SystemdHost } from "../support/systemd-host.ts";
import { dropIns } from "../support/unit-text.ts";
import { until } from "../support/until.ts";

const bootMs = 120_000;
const capSysPtrace = 1n << 19n;
const capNetBindService = 1n << 10n;

/** Ends three seconds after it is told to, which it writes down, and keeps a file of its own in /tmp. */
const slowApp = `#!/bin/sh
trap 'sleep 3; echo ended by itself >/var/lib/dewy-slow/end; exit 0' TERM
echo $$ >/tmp/own
while :; do sleep 0.1; cat /tmp/own >/var/lib/dewy-slow/seen || exit 1; done
`;

describe("the units under a real systemd", () => {
  const source = new TestHost();
  const [port, otherPort, awayPort] = [freePort(), freePort(), freePort()];
  let host: SystemdHost;

  beforeAll(async () => {
    source.publish("v1.0.0");
    source.publish("slow/v1.0.0", { "app.sh": slowApp, VERSION: "v1.0.0\n" });
    host = await SystemdHost.boot({
      "etc/dewy/dewy.toml": `port = [${port}, "unix:/run/dewy/app.sock"]\n${configuration("/srv/registry", ["/usr/local/bin/bun", "./current/app.ts"])}`,
      "etc/dewy/slow.toml": `stop-timeout = "30s"\n${configuration("/srv/registry/slow", ["./current/app.sh"])}`,
      "etc/dewy/hasty.toml": configuration("/srv/registry", ["./current/app.sh"]),
      // Quick enough for a test; all else is as it is shipped.
      "etc/systemd/system/dewy.service.d/test.conf": "[Service]\nRestartSec=100ms\nWatchdogSec=20s\n",
      "etc/systemd/system/dewy@slow.service.d/test.conf": "[Service]\nRestartSec=100ms\nTimeoutStopSec=1s\n",
      "etc/dewy/other.toml": `user = "app"\nport = [${otherPort}]\n${configuration("/srv/registry", ["/usr/local/bin/bun", "./current/app.ts"])}`,
      "etc/systemd/system/dewy@other.service.d/test.conf": `${dropIn("For an app that runs as another user")}RestartSec=100ms\n`,
      "etc/dewy/files.toml": 'command = "assets"\nregistry = "file:///srv/registry"\nno-report = true\n',
      "etc/systemd/system/dewy@files.service.d/test.conf": `${dropIn("For `dewy assets`")}RestartSec=100ms\n`,
      "etc/dewy/wrong.toml": 'regstry = "file:///srv/registry"\n',
      "etc/systemd/system/dewy@wrong.service.d/test.conf": `[Service]\nRestartSec=100ms\n${logTo("wrong")}`,
      "etc/dewy/away.toml": `port = [${awayPort}, "unix:/run/shop/app.sock"]\n${configuration("/srv/registry", ["/usr/local/bin/bun", "./current/app.ts"])}`,
      "etc/systemd/system/dewy@away.service.d/directory.conf": dropIn("For an app in another directory"),
      "etc/systemd/system/dewy@away.service.d/socket.conf": dropIn("For a unix socket elsewhere"),
      "etc/systemd/system/hasty.service": `[Service]\nType=notify\nExecStart=/usr/local/bin/dewy server --config /etc/dewy/hasty.toml\n${logTo("hasty")}`,
    });
    host.copy(source.registry, "/srv/registry");
  }, bootMs);

  afterAll(async () => {
    await host?.[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  }, bootMs);

  const ask = () => source.ask(port);
  const appPid = async () => Number((await ask()).split(" ")[2]);
  const mainPid = (unit = "dewy") => Number(host.show(unit, "MainPID")["MainPID"]);
  const status = (unit = "dewy") => host.show(unit, "StatusText")["StatusText"];

  test("a start is over when the app serves; the status names its version", async () => {
    expect(host.systemctl("start", "dewy")).toEqual({ code: 0, output: "" });
    expect(host.systemctl("is-active", "dewy").output).toBe("active");
    await until("v1.0.0", async () => (await ask()).startsWith("v1.0.0 1 "));
    await until("its status", () => status() === "v1.0.0 is serving");
    expect(host.systemctl("status", "dewy").output).toContain('Status: "v1.0.0 is serving"');
    expect(host.systemctl("cat", "dewy").output).not.toContain("ignoring");
  }, 60_000);

  test("the app can't speak for the agent, and gets none of its rights over other processes", async () => {
    const [agent, app] = [host.outerPid(mainPid()), host.outerPid(await appPid())];
    expect(environment(agent).has("NOTIFY_SOCKET")).toBe(true);
    const names = [...environment(app).keys()];
    expect(names).toContain("DEWY_ROOT");
    expect(names.filter((name) => /^(NOTIFY_SOCKET|WATCHDOG_)/.test(name))).toEqual([]);
    expect(effectiveRights(agent)).toBe(capSysPtrace | capNetBindService);
    expect(effectiveRights(app)).toBe(capNetBindService);
  });

  test("a killed agent comes back and takes over the app; no request is lost", async () => {
    const before = { agent: mainPid(), app: await appPid() };
    const load = startLoad(port, { kept: 2, fresh: 2, pauseMs: 5 });
    process.kill(host.outerPid(before.agent), "SIGKILL");
    const again = await until("another agent", () => {
      const pid = mainPid();
      return pid !== 0 && pid !== before.agent && host.systemctl("is-active", "dewy").code === 0 && pid;
    });
    await until("its status", () => status() === "v1.0.0 is serving");
    const { failures, requests } = await load.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(10);
    expect(await appPid()).toBe(before.app);
    expect(again).not.toBe(before.agent);
    const answer = await fetch("http://app/", { unix: host.path("/run/dewy/app.sock") });
    expect(Number((await answer.text()).split(" ")[2])).toBe(before.app);
  }, 60_000);

  test("an agent that hangs is ended by the watchdog, and its successor takes over the app", async () => {
    const before = { agent: mainPid(), app: await appPid() };
    process.kill(host.outerPid(before.agent), "SIGSTOP");
    await until("another agent", () => ![0, before.agent].includes(mainPid()), 90_000);
    await until("its status", () => status() === "v1.0.0 is serving");
    expect(await appPid()).toBe(before.app);
  }, 120_000);

  test("an agent that goes on keeps telling the watchdog so", async () => {
    const heard = () => host.show("dewy", "WatchdogTimestampMonotonic")["WatchdogTimestampMonotonic"];
    const agent = mainPid();
    for (let times = 0; times < 3; times++) {
      const last = heard();
      await until("it is heard again", () => heard() !== last);
    }
    expect(mainPid()).toBe(agent);
  }, 90_000);

  test("a reload asks the agent", () => {
    expect(host.systemctl("reload", "dewy")).toEqual({ code: 0, output: "" });
    expect(host.systemctl("is-active", "dewy").output).toBe("active");
  });

  test("a stop ends the app, then the agent", async () => {
    const app = host.outerPid(await appPid());
    expect(host.systemctl("stop", "dewy")).toEqual({ code: 0, output: "" });
    expect(host.show("dewy", "ActiveState", "Result")).toEqual({
      ActiveState: "inactive",
      Result: "success",
    });
    expect(environment(app).size).toBe(0);
    expect(await ask()).toBe("");
  }, 60_000);

  test("one of several; its app keeps its own /tmp, and takes longer to end than the unit grants", async () => {
    const read = (name: string) => host.read(`/var/lib/dewy-slow/${name}`).trim();
    expect(host.systemctl("start", "dewy@slow")).toEqual({ code: 0, output: "" });
    await until("it is deployed", () => status("dewy@slow") === "v1.0.0 is serving");
    const own = await until("the app runs", () => read("seen") || null);
    const before = mainPid("dewy@slow");
    process.kill(host.outerPid(before), "SIGKILL");
    await until("another agent", () => ![0, before].includes(mainPid("dewy@slow")));
    await until("its status", () => status("dewy@slow") === "v1.0.0 is serving");
    host.write("/var/lib/dewy-slow/seen", "");
    // One that had lost it would have ended, and been started anew.
    expect(await until("the app sees its file", () => read("seen") || null)).toBe(own);
    expect(host.systemctl("stop", "dewy@slow")).toEqual({ code: 0, output: "" });
    expect(read("end")).toBe("ended by itself");
    expect(host.show("dewy@slow", "Result")["Result"]).toBe("success");
  }, 90_000);

  test("with the changes that its text names the app runs as another user, and is taken over", async () => {
    expect(host.systemctl("start", "dewy@other")).toEqual({ code: 0, output: "" });
    const pid = async () => Number((await source.ask(otherPort)).split(" ")[2]);
    await until("its status", () => status("dewy@other") === "v1.0.0 is serving");
    const before = { agent: mainPid("dewy@other"), app: await pid() };
    expect(processUser(host.outerPid(before.agent))).toBe(0);
    expect(processUser(host.outerPid(before.app))).toBe(991);
    const load = startLoad(otherPort, { kept: 1, fresh: 1, pauseMs: 5 });
    process.kill(host.outerPid(before.agent), "SIGKILL");
    await until("another agent", () => ![0, before.agent].includes(mainPid("dewy@other")));
    await until("its status", () => status("dewy@other") === "v1.0.0 is serving");
    expect((await load.stop()).failures).toEqual([]);
    expect(await pid()).toBe(before.app);
    expect(host.systemctl("stop", "dewy@other")).toEqual({ code: 0, output: "" });
    expect(await source.ask(otherPort)).toBe("");
  }, 90_000);

  test("with the change that its text names it deploys files, too", async () => {
    expect(host.systemctl("start", "dewy@files")).toEqual({ code: 0, output: "" });
    await until("they are in place", () => status("dewy@files")?.startsWith("v1.0.0 "));
    expect(host.read("/var/lib/dewy-files/current/VERSION")).toBe("v1.0.0\n");
    expect(host.systemctl("stop", "dewy@files")).toEqual({ code: 0, output: "" });
  }, 60_000);

  test("with the changes that its text names the app is in another directory, as is its socket", async () => {
    host.run("install", "--directory", "--owner=dewy", "--group=dewy", "/srv/shop");
    expect(host.systemctl("start", "dewy@away")).toEqual({ code: 0, output: "" });
    await until("its status", () => status("dewy@away") === "v1.0.0 is serving");
    expect(host.read("/srv/shop/current/VERSION")).toBe("v1.0.0\n");
    const answer = await fetch("http://app/", { unix: host.path("/run/shop/app.sock") });
    expect(await answer.text()).toStartWith("v1.0.0 ");
    expect(host.systemctl("reload", "dewy@away")).toEqual({ code: 0, output: "" });
    expect(host.systemctl("stop", "dewy@away")).toEqual({ code: 0, output: "" });
  }, 60_000);

  test("a mistake in the file is told at once, and put right it needs nobody to start the unit", async () => {
    const { code, output } = host.systemctl("start", "dewy@wrong");
    expect(code).not.toBe(0);
    expect(output).toContain("dewy@wrong.service failed");
    expect(host.read("/var/log/wrong")).toContain("there is no key regstry; did you mean registry?");
    host.write(
      "/etc/dewy/wrong.toml",
      configuration("/srv/registry", ["/usr/local/bin/bun", "./current/app.ts"]),
    );
    await until("it has begun", () => host.systemctl("is-active", "dewy@wrong").code === 0);
    expect(host.systemctl("stop", "dewy@wrong")).toEqual({ code: 0, output: "" });
  }, 60_000);

  test("a unit without WorkingDirectory= is told so", () => {
    expect(host.systemctl("start", "hasty").code).not.toBe(0);
    expect(host.read("/var/log/hasty")).toBe(
      "Error: dewy would work in /\nHint: start it in the app's directory (systemd: WorkingDirectory=), or name it with --root\n",
    );
  }, 60_000);
});

function configuration(registry: string, app: readonly string[]): string {
  return [
    `registry = "file://${registry}"`,
    'interval = "1s"',
    'min-uptime = "300ms"',
    "no-report = true",
    `app = ${JSON.stringify(app)}`,
    "",
  ].join("\n");
}

/** From the unit's own text. */
function dropIn(about: string): string {
  const [, found] = [...dropIns("dewy@.service")].find(([what]) => what.startsWith(about)) ?? [];
  if (found === undefined) throw new Error(`the unit has no change ${about}`);
  return found;
}

function logTo(name: string): string {
  return `StandardOutput=append:/var/log/${name}\nStandardError=append:/var/log/${name}\n`;
}

function effectiveRights(pid: number): bigint {
  const found = /^CapEff:\s+(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return BigInt(`0x${found}`);
}
