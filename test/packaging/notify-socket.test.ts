import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { environment } from "../../src/util/procfs.ts";
import { demoCommand, TestHost } from "../support/host.ts";
import { NotifyListener } from "../support/notify-listener.ts";
import { until } from "../support/until.ts";

const pidOf = (answer: string) => Number(answer.split(" ")[2]);

describe("a service manager's socket", () => {
  test.each(["path", "abstract name"])(
    "by %s hears of the start, each change and the end",
    async (kind) => {
      await using host = new TestHost();
      const name = kind === "path" ? join(host.scratch, "notify") : `@dewy-${crypto.randomUUID()}`;
      await using manager = await NotifyListener.bind(name);
      const agent = host.server(["--stop-timeout", "10s"], demoCommand, { NOTIFY_SOCKET: name });
      await manager.hears("READY=1");
      // Before it opens anything: what it takes over may take its time.
      expect(manager.heard[0]).toEqual(["EXTEND_TIMEOUT_USEC=600000000", "STATUS=starting"]);
      await manager.hears("STATUS=nothing deployed yet");
      host.publish("v1.0.0");
      await manager.hears("STATUS=v1.0.0 is serving");
      host.publish("v1.1.0");
      await manager.hears("STATUS=v1.1.0 is serving");
      expect(await agent.stop()).toBe(0);
      await manager.hears("STOPPING=1");
      expect(manager.heard.at(-1)).toEqual([
        "STOPPING=1",
        "STATUS=stopping",
        // The app's own time twice, and a minute for the rest.
        "EXTEND_TIMEOUT_USEC=80000000",
      ]);
      expect(manager.assignments.filter((each) => each === "READY=1")).toHaveLength(1);
      expect(manager.assignments).not.toContain("WATCHDOG=1");
      expect(agent.errors()).toEqual([]);
    },
    60_000,
  );

  test("is told ready once the recorded release runs, with nobody to ask for a newer one", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const first = host.server();
    await host.serves("v1.0.0");
    await first.logged("Start notification");
    await first.stop();
    host.unpublish("v1.0.0");
    const name = join(host.scratch, "notify");
    await using manager = await NotifyListener.bind(name);
    host.server([], demoCommand, { NOTIFY_SOCKET: name });
    await manager.hears("READY=1");
    expect(manager.heard.find((datagram) => datagram.includes("READY=1"))).toContain(
      "STATUS=v1.0.0 is serving",
    );
    await host.serves("v1.0.0");
  }, 60_000);

  test.each([
    ["this process or nobody in particular", {}, true],
    ["another process", { WATCHDOG_PID: "1" }, false],
  ])(
    "hears signs of life where the watchdog is for %s",
    async (_, more: Record<string, string>, isTold) => {
      await using host = new TestHost();
      host.publish("v1.0.0");
      const name = join(host.scratch, "notify");
      await using manager = await NotifyListener.bind(name);
      host.server([], demoCommand, { NOTIFY_SOCKET: name, WATCHDOG_USEC: "2000000", ...more });
      await manager.hears("STATUS=v1.0.0 is serving");
      if (isTold)
        await until("three signs", () => manager.assignments.filter((a) => a === "WATCHDOG=1").length > 2);
      host.publish("v1.1.0");
      await manager.hears("STATUS=v1.1.0 is serving");
      expect(manager.assignments.includes("WATCHDOG=1")).toBe(isTold);
    },
    60_000,
  );

  test("is neither the app's nor a hook's", async () => {
    await using host = new TestHost();
    host.publish("v1.0.0");
    const name = join(host.scratch, "notify");
    await using manager = await NotifyListener.bind(name);
    const seen = join(host.scratch, "seen");
    const variables = { NOTIFY_SOCKET: name, WATCHDOG_USEC: "60000000", WATCHDOG_PID: "1", PLAIN: "kept" };
    const hook = ["--after-deploy-hook", `env >${seen}.partial; mv ${seen}.partial ${seen}`];
    host.server(hook, demoCommand, variables);
    const app = environment(pidOf(await host.serves("v1.0.0")));
    await manager.hears("STATUS=v1.0.0 is serving");
    const hooks = new Map(
      readFileSync(seen, "utf8")
        .split("\n")
        .map((line) => [line.split("=")[0] ?? "", line] as const),
    );
    for (const given of [app, hooks]) {
      expect(given.has("PLAIN")).toBe(true);
      expect([...given.keys()].filter((each) => /^(NOTIFY|WATCHDOG)_/.test(each))).toEqual([]);
    }
  }, 60_000);

  test.each([
    ["where nobody listens", "/nowhere/notify", "sendto: ENOENT"],
    ["with a name that is too long", `@${"x".repeat(108)}`, "a socket's name has at most 108 bytes"],
  ])(
    "%s costs a warning, and nothing else",
    async (_, name, error) => {
      await using host = new TestHost();
      host.publish("v1.0.0");
      const agent = host.server([], demoCommand, { NOTIFY_SOCKET: name, WATCHDOG_USEC: "400000" });
      await host.serves("v1.0.0");
      await agent.logged("Deploy skipped");
      expect(await agent.stop()).toBe(0);
      const warnings = agent.records.filter(({ level }) => level === "WARN");
      expect(warnings.map(({ msg, error: why }) => [msg, why])).toEqual([
        ["The service manager can't be told how dewy is", error],
      ]);
      expect(agent.errors()).toEqual([]);
    },
    60_000,
  );
});
