import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import { until } from "../support/until.ts";
import { c, deployment, failure, noSteps, openHost, runningV1 } from "./replica-set-host.ts";

describe("a rolling update", () => {
  test("of nothing starts all replicas and says so", async () => {
    await using host = openHost({ replicas: 3 });
    expect(await host.set.update(deployment(host.runtime, "v1"), noSteps, c)).toBe("started");
    expect(host.rotation.members).toHaveLength(3);
    expect(host.names().map((name) => name.at(-1))).toEqual(["0", "1", "2"]);
    expect(host.set.status()).toMatchObject({ kind: "serving", version: "v1", inRotation: 3 });
  });

  test.each([1, 2, 3])("of %d replicas never has fewer in the rotation", async (replicas) => {
    await using host = openHost({ replicas });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.rotation.watchFewest();
    for (const version of ["v2", "v3", "v4"]) {
      expect(await host.set.update(deployment(host.runtime, version), noSteps, c)).toBe("restarted");
      await host.set.settled(c);
      await host.settles(version);
    }
    expect(host.rotation.fewest).toBe(replicas);
  });

  test("has only new replicas serve at the after hook, and commits before an old one is stopped", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const seen: string[][] = [];
    const look = async () => {
      seen.push(host.serving());
      expect(host.names()).toHaveLength(4);
      expect(host.runtime.calls).not.toContain("stop");
    };
    await host.set.update(deployment(host.runtime, "v2"), { switched: look, commit: look }, c);
    expect(seen).toEqual([
      ["v2", "v2"],
      ["v2", "v2"],
    ]);
    await host.settles("v2");
  });

  test("serves two proxy ports at two container ports", async () => {
    await using host = openHost({ replicas: 1 });
    const ports = [
      { proxyPort: 8000, appPort: 8080 },
      { proxyPort: 9000, appPort: 9090 },
    ];
    await host.set.update(deployment(host.runtime, "v1", "serve", { ports }), noSteps, c);
    const [id = ""] = host.rotation.members;
    const published = host.runtime.containers[0]?.ports ?? [];
    const hostPort = (port: number) => published.find(({ appPort }) => appPort === port)?.hostPort;
    expect(host.rotation.addresses(id)).toEqual(
      new Map([
        [8000, [{ host: "127.0.0.1", port: hostPort(8080) ?? 0 }]],
        [9000, [{ host: "127.0.0.1", port: hostPort(9090) ?? 0 }]],
      ]),
    );
  });

  test("tells its course in the records people match on", async () => {
    await using host = openHost({ replicas: 1 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.settles("v2");
    const [, port] = host.log.records.filter(({ message }) => message === records.portMapped);
    expect(port?.attributes).toMatchObject({ container_port: 8080 });
    const find = (message: string) =>
      host.log.records.find((record) => record.message === message)?.attributes;
    expect(find(records.rollingStarted)).toEqual({ replicas: 1 });
    expect(find(records.containersFound)).toEqual({ count: 0 });
    expect(find(records.portMapping)).toEqual({ mapping: "127.0.0.1::8080" });
    expect(find(records.containerStarting)).toEqual({ image: "shop:v1", replica: 1, total: 1 });
    expect(find(records.healthPassed)).toMatchObject({ status: 200 });
    expect(find(records.inRotation)).toMatchObject({ backend_count: 1 });
    expect(find(records.oldStopping)).toBeDefined();
    expect(find(records.rollingDone)).toEqual({ new_containers: 1 });
    expect(host.log.at("warn")).toEqual([]);
    expect(host.log.at("error")).toEqual([]);
  });
});

describe("going back", () => {
  const returning = { ...noSteps, returning: true };

  test("does not wait for replicas that still drain", async () => {
    await using host = openHost({ replicas: 1, drainMs: 60_000 });
    const v1 = deployment(host.runtime, "v1");
    await host.set.update(v1, noSteps, c);
    const [old = ""] = host.rotation.members;
    host.rotation.connect(old, 1);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    expect(await host.set.update(v1, returning, c)).toBe("restarted");
    expect(host.serving()).toEqual(["v1"]);
    expect(host.rotation.connections(old)).toBe(1);
  });

  test("takes new connections from what is bad with the first that is healthy", async () => {
    await using host = openHost({ replicas: 2, minUptimeMs: 300 });
    const v1 = deployment(host.runtime, "v1");
    await host.set.update(v1, noSteps, c);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.set.settled(c);
    const bad = [...host.rotation.members];
    const from = host.rotation.course.length;
    host.rotation.watchFewest();
    let wellAtMs = 0;
    host.rotation.onChange = () => {
      if (wellAtMs === 0 && !bad.some((id) => host.rotation.members.includes(id)))
        wellAtMs = performance.now();
    };
    await host.set.update(v1, returning, c);
    expect(host.rotation.course[from]).toStartWith("admit");
    expect(host.rotation.course.slice(from + 1, from + 3).sort()).toEqual(
      bad.map((id) => `retire ${id}`).sort(),
    );
    expect(host.rotation.fewest).toBe(1);
    // What is recorded waits until it has stayed up; connections do not.
    expect(performance.now() - wellAtMs).toBeGreaterThan(250);
    await host.settles("v1");
  });

  test("goes on with one, and makes up for those that did not come up", async () => {
    await using host = openHost({ replicas: 2 });
    const v1 = deployment(host.runtime, "v1");
    await host.set.update(v1, noSteps, c);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.set.settled(c);
    let starts = 0;
    host.runtime.onCall = (operation) => {
      if (operation === "start" && ++starts === 1) throw new DewyError("engine-failed", "no memory is left");
    };
    expect(await host.set.update(v1, returning, c)).toBe("restarted");
    expect(host.serving()).toEqual(["v1"]);
    await host.settles("v1");
  });

  test("to what does not come up either leaves what runs as it was", async () => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    const bad = deployment(host.runtime, "v0", "exit");
    expect(await failure(host.set.update(bad, returning, c))).toMatchObject({ code: "start-failed" });
    await unharmed();
  });
});

test("replicas are made from the deployment's own image though its name has come to mean another", async () => {
  await using host = openHost({ replicas: 1 });
  const v1 = deployment(host.runtime, "v1");
  host.runtime.addImage(v1.image.id, "serve", { id: v1.image.id });
  await host.set.update(v1, noSteps, c);
  expect(host.runtime.containers.map(({ image }) => image)).toEqual(["shop:v1"]);
  host.runtime.addImage("shop:v1", "exit", { id: "sha256:other" });
  await host.set.restart(c);
  await host.settles("v1", 1);
  expect(host.runtime.containers.map(({ image }) => image)).toEqual([v1.image.id]);
});

test("what was asked for and given up while it waited for its turn is not done", async () => {
  await using host = openHost({ replicas: 1 });
  const v1 = deployment(host.runtime, "v1");
  await host.set.update(v1, noSteps, c);
  const given = new AbortController();
  let resuming: Promise<unknown> = Promise.resolve();
  const steps = {
    switched: async () => {
      resuming = failure(host.set.resume(v1, given));
    },
    commit: async () => given.abort(new Error("given up")),
  };
  await host.set.update(deployment(host.runtime, "v2"), steps, c);
  expect(await resuming).toMatchObject({ message: "given up" });
  expect(host.set.deployment?.version).toBe("v2");
  await host.settles("v2", 1);
});

test("a restart replaces every replica by a new one of the same deployment", async () => {
  await using host = openHost();
  await host.set.restart(c);
  expect(host.names()).toEqual([]);
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  const before = [...host.rotation.members];
  host.rotation.watchFewest();
  for (let round = 0; round < 3; round++) {
    await host.set.restart(c);
    await host.set.settled(c);
  }
  await host.settles("v1");
  expect(host.rotation.members.some((id) => before.includes(id))).toBe(false);
  expect(host.rotation.fewest).toBe(2);
  expect(Math.max(...host.names().map((name) => Number(name.split("-").at(-1))))).toBeLessThan(4);
});

describe("a new replica that must stay up for a while first", () => {
  test("serves no earlier, and never if it dies before", async () => {
    await using host = openHost({
      replicas: 1,
      minUptimeMs: 400,
      health: { ...quickHealth, timeoutMs: 5000 },
    });
    const v1 = deployment(host.runtime, "v1");
    await host.set.update(v1, noSteps, c);
    const admitted = host.rotation.course.length;
    const update = host.set
      .update(deployment(host.runtime, "v2"), noSteps, c)
      .catch((thrown: unknown) => thrown);
    const fresh = await until("the new one runs", () =>
      host.runtime.containers.find(
        ({ status, labels }) => status === "running" && labels["dewy.version"] === "v2",
      ),
    );
    await until("it has passed a check", () => host.set.tally.checks.total > 2);
    host.runtime.die(fresh.id, 9);
    expect(await update).toMatchObject({ code: "start-failed", blame: "release" });
    expect(host.rotation.course.slice(admitted)).not.toContain(`admit ${fresh.id}`);
    await host.settles("v1", 1);
  });
});

const quickHealth = { path: "/up", intervalMs: 20, threshold: 3, greeting: "" };
