import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import { until } from "../support/until.ts";
import { c, deployment, noSteps, openHost } from "./replica-set-host.ts";

describe("old replicas", () => {
  test("drain together and are stopped as soon as their own connections have ended", async () => {
    await using host = openHost({ drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [first = "", second = ""] = host.rotation.members;
    for (const id of [first, second]) host.rotation.connect(id, 2);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    expect(host.serving()).toEqual(["v2", "v2"]);
    expect(host.set.replicas().filter(({ state }) => state === "draining")).toHaveLength(2);
    host.rotation.connect(second, 0);
    await until("the idle one is gone", () => !host.runtime.containers.some(({ id }) => id === second));
    expect(host.runtime.containers.find(({ id }) => id === first)?.status).toBe("running");
    host.rotation.connect(first, 0);
    await host.set.settled(c);
    await host.settles("v2");
    expect(host.log.at("warn")).toEqual([]);
  });

  test("drain as well if they are new ones that go back", async () => {
    await using host = openHost({ replicas: 1, drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [old = ""] = host.rotation.members;
    let fresh = "";
    const steps = {
      ...noSteps,
      switched: async () => {
        fresh = host.rotation.members[0] ?? "";
        host.rotation.connect(fresh, 2);
        throw new DewyError("hook-failed", "no");
      },
    };
    await expect(host.set.update(deployment(host.runtime, "v2"), steps, c)).rejects.toThrow("no");
    expect(host.rotation.members).toEqual([old]);
    expect(fresh).not.toBe(old);
    expect(host.rotation.connections(fresh)).toBe(2);
    expect(host.log.at("info")).toContain(records.failedRemoved);
    expect(host.runtime.containers.find(({ id }) => id === fresh)?.status).toBe("running");
    host.rotation.connect(fresh, 0);
    await host.settles("v1");
    expect(host.log.at("warn")).toEqual([]);
  });

  test("are stopped at the end of the drain time, before what they have left is cut and counted", async () => {
    await using host = openHost({ replicas: 1, drainMs: 100 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [old = ""] = host.rotation.members;
    host.rotation.connect(old, 3);
    const atStop: number[] = [];
    host.runtime.onCall = (operation) => {
      if (operation === "stop") atStop.push(host.rotation.connections(old));
    };
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.settles("v2");
    await host.set.settled(c);
    expect(atStop).toEqual([3]);
    const over = host.log.records.find(({ message }) => message === "Drain time over");
    expect(over).toMatchObject({ level: "info", attributes: { connections: 3 } });
    const cut = host.log.records.find(({ level }) => level === "warn");
    expect(cut).toMatchObject({
      message: "Connections cut with their replica",
      attributes: { connections: 3 },
    });
  });

  test("still drain while the next update waits for them", async () => {
    await using host = openHost({ replicas: 1, drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [old = ""] = host.rotation.members;
    host.rotation.connect(old, 1);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    const third = host.set.update(deployment(host.runtime, "v3"), noSteps, c);
    await host.looksAgain();
    expect(host.serving()).toEqual(["v2"]);
    host.rotation.connect(old, 0);
    await third;
    await host.settles("v3");
  });
});
