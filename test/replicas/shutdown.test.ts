import { describe, expect, test } from "bun:test";
import { records } from "../../src/events.ts";
import { until } from "../support/until.ts";
import { c, deployment, noSteps, openHost } from "./replica-set-host.ts";

describe("the shutdown", () => {
  test("stops and removes all of this app's containers, and nobody else's", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const other = deployment(host.runtime, "v1").makeSpec(9);
    const labels = { ...other.body.Labels, "dewy.app": "blog" };
    const id = await host.runtime.create({ ...other, body: { ...other.body, Labels: labels } }, c);
    await host.set.close({ drain: false }, c);
    expect(host.runtime.containers.map((each) => each.id)).toEqual([id]);
    expect(host.rotation.members).toEqual([]);
    const told = host.log.records.slice(-9).map(({ message }) => message);
    for (const message of [records.managedStopping, records.managedStopped, records.managedRemoving]) {
      expect(told.filter((each) => each === message)).toHaveLength(2);
    }
    expect(host.log.records.at(-1)).toMatchObject({
      message: records.cleanedUp,
      attributes: { containers_cleaned: 2 },
    });
    expect(host.log.at("warn")).toEqual([]);
  });

  test("leaves them running where that is wanted", async () => {
    await using host = openHost({ leaveRunning: true });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    await host.set.close({ drain: true }, c);
    expect(host.runtime.containers.map(({ status }) => status)).toEqual(["running", "running"]);
  });

  test("waits for connections within the drain time", async () => {
    await using host = openHost({ replicas: 1, drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [id = ""] = host.rotation.members;
    host.rotation.connect(id, 1);
    const closing = host.set.close({ drain: true }, c);
    await until("it waits for them", () => host.rotation.draining.includes(id));
    expect(host.runtime.containers[0]?.status).toBe("running");
    host.rotation.connect(id, 0);
    await closing;
    expect(host.names()).toEqual([]);
  });

  test("waits for nothing any more after a second signal", async () => {
    await using host = openHost({ replicas: 1, drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.rotation.connect(host.rotation.members[0] ?? "", 1);
    const second = new AbortController();
    const closing = host.set.close({ drain: true }, second);
    second.abort();
    await closing;
    expect(host.names()).toEqual([]);
  });

  test("in the middle of an update takes it back first", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const update = host.set
      .update(deployment(host.runtime, "v2", "mute"), noSteps, c)
      .catch((error) => error);
    await until("it is under way", () => host.names().length === 3);
    await host.set.close({ drain: false }, c);
    expect(await update).toMatchObject({ name: "AbortError" });
    expect(host.names()).toEqual([]);
    expect(host.log.at("error")).toEqual([]);
  });

  test("in the middle of a drain does not wait for it", async () => {
    await using host = openHost({ drainMs: 60_000 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    for (const id of host.rotation.members) host.rotation.connect(id, 1);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.set.close({ drain: false }, c);
    expect(host.names()).toEqual([]);
  });

  test("with the engine down ends, and says what runs on", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.isDown = true;
    await host.set.close({ drain: false }, c);
    expect(host.log.at("error")).toEqual(["Replicas not cleaned up"]);
    host.runtime.isDown = false;
  });
});
