import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { environment, processIds } from "../../src/util/procfs.ts";
import type { GateBehaviour } from "../support/gate-app.ts";
import { type AppFiles, TestHost } from "../support/host.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

const checks = ["--health-path", "/up", "--health-interval", "200ms"];
const testMs = 180_000;

function gateApp(tag: string, behaviour: GateBehaviour): AppFiles {
  return {
    "app.ts": readFileSync("test/support/gate-app.ts", "utf8"),
    VERSION: `${tag}\n`,
    BEHAVIOUR: JSON.stringify(behaviour),
  };
}

const bad: [string, GateBehaviour, RegExp][] = [
  ["exits at once", { exits: { code: 7, afterMs: 0 } }, /exited with code 7/],
  [
    "exits after 3 s, before it is well",
    { status: 500, exits: { code: 8, afterMs: 3000 } },
    /exited with code 8/,
  ],
  ["hangs", { is: "mute" }, /no answer/],
  ["answers 500", { status: 500 }, /: 500/],
  ["lets only the old one answer", { is: "deaf" }, /never took a connection|in its rehearsal .* no answer/],
];

describe.each(["", "--rehearse"])("a bad release, with the gate %s", (rehearse) => {
  test.each(bad)(
    "that %s is set aside, and the old one serves throughout",
    async (_, behaviour, reason) => {
      await using host = new TestHost();
      host.publish("v1.0.0", gateApp("v1.0.0", {}));
      const flags = [...checks, "--health-timeout", "8s", ...(rehearse === "" ? [] : [rehearse])];
      const agent = host.server(flags);
      await host.serves("v1.0.0");
      await until("it is recorded", () => host.history().length === 1);
      const load = startLoad(host.port, { kept: 1, fresh: 1 });
      host.publish("v2.0.0", gateApp("v2.0.0", behaviour));
      const { reason: told } = await agent.logged("Quarantined", { tag: "v2.0.0" });
      const { failures, answers } = await load.stop();
      expect(told).toMatch(reason);
      expect(host.current()).toBe("v1.0.0");
      if (rehearse !== "" || behaviour.is === "deaf") {
        expect(failures).toEqual([]);
        expect([...answers.keys()]).toEqual(["v1.0.0"]);
      }
      expect(await host.ask()).toStartWith("v1.0.0 1 ");
    },
    testMs,
  );
});

test(
  "a release that gets sick in its soak is left for the one before",
  async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", gateApp("v1.0.0", {}));
    const agent = host.server([...checks, "--soak", "10m"]);
    await host.serves("v1.0.0");
    await until("it is recorded", () => host.history().length === 1);
    host.publish("v2.0.0", gateApp("v2.0.0", { statusFile: "status" }));
    await until("it is recorded", () => host.state().current?.tag === "v2.0.0");
    await Bun.write(`${host.root}/status`, "503");
    await agent.logged("Health check failed");
    await until("the one before is back", () => host.state().current?.tag === "v1.0.0");
    await until("it serves", async () => (await host.ask()).startsWith("v1.0.0 "));
    expect(host.current()).toBe("v1.0.0");
    expect(host.state().quarantine).toMatchObject([
      { tag: "v2.0.0", reason: expect.stringContaining("503") },
    ]);
  },
  testMs,
);

test(
  "a rehearsal left by a killed agent is stopped by the next one, which adopts the app",
  async () => {
    await using host = new TestHost();
    host.publish("v1.0.0", gateApp("v1.0.0", {}));
    const flags = [...checks, "--rehearse", "--health-timeout", "10m"];
    const agent = host.server(flags);
    const answer = await host.serves("v1.0.0");
    await until("it is recorded", () => host.history().length === 1);
    host.publish("v2.0.0", gateApp("v2.0.0", { is: "deaf" }));
    const rehearsals = () =>
      processIds().filter((pid) => {
        const env = environment(pid);
        return env.get("DEWY_ROOT") === host.root && env.get("DEWY_REHEARSAL") === "1";
      });
    const [left = 0] = await until("it is rehearsed", () => rehearsals().length > 0 && rehearsals());
    process.kill(agent.pid, "SIGKILL");
    host.unpublish("v2.0.0");
    const next = host.server(flags);
    await next.logged("Adopt running server");
    expect(rehearsals()).not.toContain(left);
    expect(await host.ask()).toBe(answer);
  },
  testMs,
);
