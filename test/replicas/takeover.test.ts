import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { until } from "../support/until.ts";
import { c, deployment, openHost, orphaned, root, SkewedClock } from "./replica-set-host.ts";

describe("a restarted agent", () => {
  test("serves the same containers, with no start and no stop", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    host.runtime.calls.length = 0;
    await using next = host.successor();
    await next.set.resume(orphan, c);
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
    await next.settles("v1");
    for (const call of ["create", "start", "stop", "remove"] as const) {
      expect(next.runtime.calls).not.toContain(call);
    }
    expect(next.log.at("warn")).toEqual([]);
  });

  test("starts what is missing from the local image, without a pull", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    host.runtime.die(ids[0] ?? "");
    await using next = host.successor({ replicas: 3 });
    await next.set.resume(orphan, c);
    await next.settles("v1", 3);
    expect(next.rotation.members).toContain(ids[1] ?? "");
    expect(next.runtime.calls).not.toContain("pull");
  });

  test("removes those that are too many", async () => {
    await using host = openHost({ replicas: 3, leaveRunning: true });
    const { orphan } = await orphaned(host);
    await using next = host.successor({ replicas: 1 });
    await next.set.resume(orphan, c);
    await next.settles("v1", 1);
    expect(next.log.at("warn")).toEqual([]);
  });

  test("removes the new version of an update that a crash broke off", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    const v2 = deployment(host.runtime, "v2");
    await host.runtime.start(await host.runtime.create(v2.makeSpec(0), c), c);
    await host.runtime.create(v2.makeSpec(1), c);
    await using next = host.successor();
    await next.set.resume(orphan, c);
    await next.settles("v1");
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
  });

  test("removes the old version of an update that a crash kept from its end", async () => {
    await using host = openHost({ leaveRunning: true });
    await orphaned(host);
    const v2 = deployment(host.runtime, "v2");
    for (const number of [0, 1]) {
      await host.runtime.start(await host.runtime.create(v2.makeSpec(number), c), c);
    }
    await using next = host.successor();
    await next.set.resume(v2, c);
    await next.settles("v2");
  });

  test("rolls to the operator's new options while the old containers serve", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan } = await orphaned(host);
    const changed = deployment(host.runtime, "v1", "serve", { options: "o2", deployedAt: orphan.deployedAt });
    await using next = host.successor();
    let fewest = 2;
    next.rotation.onChange = () => {
      fewest = Math.min(fewest, next.rotation.members.length);
    };
    const resumed = next.set.resume(changed, c);
    await until("the old ones serve", () => next.rotation.members.length === 2);
    fewest = 2;
    await resumed;
    await next.settles("v1");
    expect(fewest).toBe(2);
    expect(next.runtime.containers.map(({ labels }) => labels["dewy.options"])).toEqual(["o2", "o2"]);
  });

  test("keeps the old options' containers when the new options do not work", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    const changed = deployment(host.runtime, "v1", "exit", { options: "o2", deployedAt: orphan.deployedAt });
    await using next = host.successor();
    await next.set.resume(changed, c);
    await next.settles("v1");
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
    expect(next.log.at("warn")).not.toContain("Replicas not brought to what they should be");
  });

  test("rolls to new options once the engine is well again", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan } = await orphaned(host);
    const changed = deployment(host.runtime, "v1", "serve", { options: "o2", deployedAt: orphan.deployedAt });
    host.runtime.fail("create", new DewyError("disk-full", "no space left"));
    const clock = new SkewedClock();
    await using next = openHost({}, host.runtime, clock);
    await next.set.resume(changed, c);
    expect(next.rotation.members).toHaveLength(2);
    expect(next.names().every((name) => host.names().includes(name))).toBe(true);
    clock.aheadMs += 60_000;
    await until("all are new", () =>
      next.runtime.containers.every(({ labels }) => labels["dewy.options"] === "o2"),
    );
    await next.settles("v1");
  });

  test("adopts the original's containers, which have fewer labels", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    const spec = v1.makeSpec(0);
    const labels = { "dewy.managed": "true", "dewy.app": "shop", "dewy.version": "v1", "dewy.options": "o1" };
    const id = await host.runtime.create(
      { ...spec, name: "theirs", body: { ...spec.body, Labels: labels } },
      c,
    );
    await host.runtime.start(id, c);
    await host.set.resume(v1, c);
    expect(host.rotation.members).toContain(id);
    await host.settles("v1");
  });

  test("leaves containers of another directory's agent alone", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    const spec = v1.makeSpec(7);
    const labels = { ...spec.body.Labels, "dewy.root": `${root}-other`, "dewy.version": "v0" };
    const id = await host.runtime.create({ ...spec, body: { ...spec.body, Labels: labels } }, c);
    await host.set.resume(v1, c);
    await host.set.restart(c);
    await host.set.close({ drain: false }, c);
    expect(host.runtime.containers.map((each) => each.id)).toEqual([id]);
  });

  test("touches nothing when nothing is recorded", async () => {
    await using host = openHost();
    await host.runtime.create(deployment(host.runtime, "v1").makeSpec(0), c);
    await host.set.resume(null, c);
    expect(host.set.status()).toEqual({ kind: "idle" });
    expect(host.names()).toHaveLength(1);
  });

  test("waits for an engine that is down, says so once, and serves when it is there", async () => {
    await using host = openHost({ leaveRunning: true });
    const { orphan, ids } = await orphaned(host);
    host.runtime.isDown = true;
    await using next = host.successor();
    await next.set.resume(orphan, c);
    expect(next.set.status()).toEqual({ kind: "down", reason: "the engine does not answer" });
    await until(
      "it asks again and again",
      () => next.runtime.calls.filter((call) => call === "info").length > 4,
    );
    host.runtime.isDown = false;
    await next.settles("v1");
    expect(new Set(next.rotation.members)).toEqual(new Set(ids));
    expect(next.log.at("warn")).toEqual(["Engine does not answer: what serves goes on"]);
    expect(next.log.at("info")).toContain("Engine answers again");
    expect(next.log.at("error")).toEqual([]);
  });

  test("starts everything after a reboot, and keeps trying what does not come up", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    host.runtime.fail("start", new DewyError("disk-full", "no space left"));
    await host.set.resume(v1, c);
    await host.settles("v1");
    expect(host.losses).toMatchObject([{ kind: "not-started", reason: "no space left", delayMs: 200 }]);
  });
});
