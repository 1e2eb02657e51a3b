import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { AgentView } from "../../src/agent/orders/operations.ts";
import { AgentSigns, stillLimitMs, stopLimitMs } from "../../src/cli/run/manager-signs.ts";
import { managerStatus } from "../../src/cli/run/manager-status.ts";
import type { AgentConfig } from "../../src/config/config.ts";
import { ManagerLine } from "../../src/service-manager/line.ts";
import { sendDatagram } from "../../src/util/libc-datagram.ts";
import { view } from "../control/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import { NotifyListener } from "../support/notify-listener.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { configOf } from "./support.ts";

const minutes = 60_000;
const server = ["server", "--registry", "file:///srv/r", "--port", "8000", "--stop-timeout", "10s"];

describe("the status", () => {
  const serving = { kind: "serving", pid: 1, generation: 1, replicas: null, inRotation: null } as const;
  test.each<[string, Partial<AgentView>]>([
    ["v1.2.3 is serving", {}],
    ["v1.2.3 is serving (2 of 3)", { app: { ...serving, replicas: 3, inRotation: 2 } }],
    ["nothing deployed yet", { app: { kind: "idle" }, current: null }],
    ["v1.2.3 is in place", { app: { kind: "idle" } }],
    ["v1.2.3 is starting", { app: { kind: "starting" } }],
    ["v1.2.3 is down: it died", { app: { kind: "down", reason: "it died" } }],
    ["the app is starting", { app: { kind: "starting" }, current: null }],
    ["v1.2.3 is serving", { busy: { with: "a check", step: null, since: "" } }],
    [
      "v1.2.3 is serving; a deploy of v1.2.4",
      { busy: { with: "a deploy of v1.2.4", step: "begun", since: "" } },
    ],
    ["v1.2.3 is serving; held", { hold: { since: "", until: null, reason: null, left: null } }],
    ["v1.2.3 is serving; on probation", { soakUntil: "2026-11-21T09:00:00.000Z" }],
    ["v1.2.3 is serving; the last check failed", { lastPoll: { at: "", ok: false, newest: null } }],
  ])("%s", (status, changes) => {
    expect(managerStatus({ ...view, ...changes })).toBe(status);
  });
});

describe("an end takes at most", () => {
  test.each([
    ["of assets", ["assets", "--registry", "file:///srv/r"], 1 * minutes],
    ["of an app", [...server, "--", "./app"], 2 * 10_000 + 1 * minutes],
    [
      "of containers",
      ["container", "--registry", "img://h/n", "--stop-timeout", "20s"],
      2 * 20_000 + 1 * minutes,
    ],
    [
      "of containers with docker's own option",
      ["container", "--registry", "img://h/n", "--", "--stop-timeout", "40"],
      2 * 40_000 + 1 * minutes,
    ],
  ])("%s twice what the operator grants, and a minute", async (_, argv, limitMs) => {
    expect(stopLimitMs(await configOf(argv))).toBe(limitMs);
  });
});

test.each([
  ["--hook-timeout", "5h"],
  ["--stop-timeout", "5h"],
  ["--health-timeout", "5h"],
  // The shared cache gets a second for each MiB.
  ["--max-artifact-size", "18GiB"],
])("work may show nothing for as long as %s lets it", async (flag, value) => {
  const argv = [...server.slice(0, 5), "--health-path", "/", flag, value, "--", "./app"];
  expect(stillLimitMs(await configOf(argv))).toBeGreaterThan(300 * minutes);
});

test("work behind the proxy may show nothing for as long as --drain-time lets it", async () => {
  const argv = [...server, "--proxy", "--drain-time", "5h", "--", "./app"];
  expect(stillLimitMs(await configOf(argv))).toBeGreaterThan(300 * minutes);
});

test("replicas may show nothing for as long as each of them must stay up", async () => {
  const argv = [...server, "--proxy", "--replicas", "20", "--min-uptime", "1h", "--", "./app"];
  expect(stillLimitMs(await configOf(argv))).toBeGreaterThan(20 * 60 * minutes);
});

test("containers may show nothing for as long as their engine, which tells of a pull, may take to start them", async () => {
  const argv = ["container", "--registry", "img://h/n", "--health-timeout", "1h", "--replicas", "5"];
  expect(stillLimitMs(await configOf(argv))).toBeGreaterThan(300 * minutes);
});

describe("what the service manager is told", () => {
  const starting: AgentView = { ...view, app: { kind: "starting" } };

  test("is that it is ready, once it has begun and the app is up", async () => {
    await using told = await Told.open(starting);
    await told.clock.advance(5000);
    told.signs.begun();
    await told.clock.advance(5000);
    expect(await told.count("READY=1")).toBe(0);
    told.agent = { ...told.agent, now: view };
    await told.clock.advance(1000);
    expect(await told.count("READY=1")).toBe(1);
  });

  test("is that it is ready with an app that takes a minute to start, too", async () => {
    await using told = await Told.open(starting);
    told.signs.begun();
    await told.clock.advance(59_000);
    expect(await told.count("READY=1")).toBe(0);
    await told.clock.advance(2000);
    expect(await told.count("READY=1")).toBe(1);
  });

  test("are signs of life four times in the watchdog's time, until the work is stuck", async () => {
    await using told = await Told.open(view);
    await told.clock.advance(4 * watchdogMs);
    const before = await told.count("WATCHDOG=1");
    expect(before).toBeGreaterThanOrEqual(16);
    expect(before).toBeLessThanOrEqual(20);
    told.agent = { now: view, stillMs: told.limitMs };
    await told.clock.advance(watchdogMs);
    expect(await told.count("WATCHDOG=1")).toBeGreaterThan(before);
    told.agent = { now: view, stillMs: told.limitMs + 1 };
    const last = await told.count("WATCHDOG=1");
    await told.clock.advance(watchdogMs);
    expect(await told.count("WATCHDOG=1")).toBe(last);
    expect(told.log.at("error")).toEqual(["The agent's work comes no further"]);
  });

  test("is, while what it takes over takes its time to end, that the start takes longer", async () => {
    await using told = await Told.open(null);
    const longer = "EXTEND_TIMEOUT_USEC=600000000";
    await told.clock.advance(10 * minutes);
    expect(await told.count(longer)).toBeGreaterThanOrEqual(10);
    expect(await told.count("READY=1")).toBe(0);
    // The listener is to keep up.
    for (let ms = 0; ms < told.limitMs; ms += 5 * minutes) {
      await told.clock.advance(5 * minutes);
      await told.count(longer);
    }
    const last = await told.count(longer);
    await told.clock.advance(10 * minutes);
    expect(await told.count(longer)).toBe(last);
    expect(told.log.at("error")).toEqual(["The agent's work comes no further"]);
  });

  test("is the end, as often as it takes to be heard", async () => {
    using dir = tempDir();
    const address = { socket: join(dir.path, "notify"), watchdogMs: null };
    const deps = { clock: new FakeClock(), log: recordingLog() };
    using line = new ManagerLine(address, () => ({ isUp: true, status: "up", isMoving: true }), deps);
    line.stopping(5000);
    await using manager = await NotifyListener.bind(address.socket);
    for (let round = 0; round < 3; round++) await deps.clock.advance(1000);
    await manager.hears("STOPPING=1");
    sendDatagram(address.socket, "X_LAST=1");
    await manager.hears("X_LAST=1");
    expect(manager.heard).toEqual([
      ["STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=5000000"],
      ["X_LAST=1"],
    ]);
  });

  test("is the end, after which nothing becomes ready or gets another status, but life goes on", async () => {
    await using told = await Told.open(starting);
    await told.clock.advance(1000);
    told.stop.abort();
    told.signs.begun();
    told.agent = { ...told.agent, now: view };
    const before = await told.count("WATCHDOG=1");
    await told.clock.advance(watchdogMs);
    expect(await told.count("STOPPING=1")).toBe(1);
    expect(await told.count("READY=1")).toBe(0);
    expect(await told.count("STATUS=v1.2.3 is serving")).toBe(0);
    expect(await told.count("WATCHDOG=1")).toBeGreaterThan(before);
    told.signs[Symbol.dispose]();
    const last = await told.count("WATCHDOG=1");
    await told.clock.advance(watchdogMs);
    expect(await told.count("WATCHDOG=1")).toBe(last);
    expect(told.clock.sleeping).toBe(0);
  });
});

const watchdogMs = 40_000;

/** An agent as a test wants it, and what its service manager hears. */
class Told implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = recordingLog();
  readonly stop = new AbortController();
  readonly signs: AgentSigns;
  readonly limitMs: number;
  agent: { readonly now: AgentView; readonly stillMs: number };

  private constructor(
    config: AgentConfig,
    private readonly manager: NotifyListener,
    now: AgentView | null,
  ) {
    this.limitMs = stillLimitMs(config);
    this.agent = { now: now ?? view, stillMs: 0 };
    const address = { socket: manager.name, watchdogMs: now === null ? null : watchdogMs };
    this.signs = new AgentSigns(config, address, this, this.stop);
    if (now === null) return;
    const look = () => this.agent;
    this.signs.follow({
      view: () => look().now,
      get stillMs() {
        return look().stillMs;
      },
    });
  }

  /** null: there is no agent yet, and no watchdog. */
  static async open(now: AgentView | null): Promise<Told> {
    const manager = await NotifyListener.bind(`@dewy-${crypto.randomUUID()}`);
    return new Told(await configOf([...server, "--", "./app"]), manager, now);
  }

  /** How often it was told so by now. */
  async count(assignment: string): Promise<number> {
    // Comes after all that was sent before.
    const last = `X_LAST=${crypto.randomUUID()}`;
    sendDatagram(this.manager.name, last);
    await this.manager.hears(last);
    return this.manager.assignments.filter((each) => each === assignment).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signs[Symbol.dispose]();
    await this.manager[Symbol.asyncDispose]();
  }
}
