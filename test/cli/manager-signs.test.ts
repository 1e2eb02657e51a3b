import { describe, expect, test } from "bun:test";
import type { AgentView } from "../../src/agent/orders/operations.ts";
import { AgentSigns, stillLimitMs, stopLimitMs } from "../../src/cli/run/manager-signs.ts";
import { managerStatus } from "../../src/cli/run/manager-status.ts";
import type { AgentConfig } from "../../src/config/config.ts";
import { sendDatagram } from "../../src/util/libc-datagram.ts";
import { view } from "../control/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import { NotifyListener } from "../support/notify-listener.ts";
import { recordingLog } from "../support/recording.ts";
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
    ["of an app", [...server, "--", "./app"], 10_000 + 1 * minutes],
    [
      "of containers",
      ["container", "--registry", "img://h/n", "--stop-timeout", "20s"],
      20_000 + 1 * minutes,
    ],
    [
      "of containers with docker's own option",
      ["container", "--registry", "img://h/n", "--", "--stop-timeout", "40"],
      40_000 + 1 * minutes,
    ],
  ])("%s what the operator grants, and a minute", async (_, argv, limitMs) => {
    expect(stopLimitMs(await configOf(argv))).toBe(limitMs);
  });
});

test.each([
  ["--hook-timeout", "5h"],
  ["--stop-timeout", "5h"],
  ["--health-timeout", "5h"],
])("work may show nothing for as long as %s lets it", async (flag, value) => {
  const argv = [...server.slice(0, 5), "--health-path", "/", flag, value, "--", "./app"];
  expect(stillLimitMs(await configOf(argv))).toBeGreaterThan(300 * minutes);
});

test("work behind the proxy may show nothing for as long as --drain-time lets it", async () => {
  const argv = [...server, "--proxy", "--drain-time", "5h", "--", "./app"];
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

  test("are signs of life twice in the watchdog's time, until the work is stuck", async () => {
    await using told = await Told.open(view);
    await told.clock.advance(4 * watchdogMs);
    const before = await told.count("WATCHDOG=1");
    expect(before).toBeGreaterThanOrEqual(8);
    expect(before).toBeLessThanOrEqual(10);
    told.agent = { now: view, stillMs: told.limitMs };
    await told.clock.advance(watchdogMs);
    expect(await told.count("WATCHDOG=1")).toBeGreaterThan(before);
    told.agent = { now: view, stillMs: told.limitMs + 1 };
    const last = await told.count("WATCHDOG=1");
    await told.clock.advance(watchdogMs);
    expect(await told.count("WATCHDOG=1")).toBe(last);
    expect(told.log.at("error")).toEqual(["The agent's work comes no further"]);
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
    now: AgentView,
  ) {
    this.limitMs = stillLimitMs(config);
    this.agent = { now, stillMs: 0 };
    const address = { socket: manager.name, watchdogMs };
    this.signs = new AgentSigns(config, address, this, this.stop);
    const look = () => this.agent;
    this.signs.follow({
      view: () => look().now,
      get stillMs() {
        return look().stillMs;
      },
    });
  }

  static async open(now: AgentView): Promise<Told> {
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
