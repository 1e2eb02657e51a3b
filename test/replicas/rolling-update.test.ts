import { describe, expect, test } from "bun:test";
import { DewyError, type ErrorCode } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import type { Behaviour } from "../support/fake-app.ts";
import { until } from "../support/until.ts";
import { c, deployment, type Host, noSteps, openHost } from "./replica-set-host.ts";

async function failure(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => null,
    (error: unknown) => error,
  );
}

/** v1 runs; what the failed update must leave as it was. */
async function runningV1(host: Host): Promise<{ unharmed: () => Promise<void> }> {
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  const ids = [...host.rotation.members];
  host.rotation.watchFewest();
  return {
    async unharmed() {
      expect(new Set(host.rotation.members)).toEqual(new Set(ids));
      await host.settles("v1");
      expect(host.runtime.containers.map(({ id }) => id)).toEqual(ids);
      expect(host.set.deployment?.version).toBe("v1");
      expect(host.log.at("error")).toEqual([]);
    },
  };
}

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

describe("an image's own fault leaves the old version serving", () => {
  const tight = { health: { path: "/up", timeoutMs: 300, intervalMs: 20, threshold: 3, greeting: "" } };
  test.each<[Behaviour, string | null, ErrorCode, RegExp]>([
    ["exit", "/up", "start-failed", /exited with code 3/],
    ["missing", "/up", "start-failed", /no such file/],
    [503, "/up", "health-failed", /GET http:\/\/127\.0\.0\.1:\d+\/up: 503/],
    [404, "/up", "health-failed", /404/],
    ["refuse", "/up", "health-failed", /connection refused/],
    ["close", "/up", "health-failed", /accepts but does not answer/],
    ["mute", "/up", "health-failed", /no answer within/],
    ["garbage", "/up", "health-failed", /no HTTP/],
    ["close", null, "health-failed", /accepts but does not serve/],
    ["refuse", null, "health-failed", /connection refused/],
  ])("%p, health path %p: %s", async (behaviour, path, code, message) => {
    await using host = openHost({ health: { ...tight.health, path } });
    const { unharmed } = await runningV1(host);
    const error = await failure(host.set.update(deployment(host.runtime, "v2", behaviour), noSteps, c));
    expect(error).toMatchObject({ code, blame: "release", message: expect.stringMatching(message) });
    await unharmed();
    expect(host.rotation.fewest).toBe(2);
    expect(host.log.at("info")).toContain(records.rollingBackDeployment);
    expect(host.log.at("debug")).toContain(records.rollingBack);
    expect(host.log.at("info")).toContain(records.failedRemoved);
  });

  test.each<[Behaviour, string | null]>([
    ["serve", "/up"],
    [204, "/up"],
    [302, "/up"],
    ["mute", null],
    [500, null],
  ])("while %p with health path %p is good", async (behaviour, path) => {
    await using host = openHost({ health: { ...tight.health, path } });
    await host.set.update(deployment(host.runtime, "v1", behaviour), noSteps, c);
    await host.settles("v1");
  });

  test("a new replica that dies within the after hook", async () => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    const dies = async () => {
      const victim = host.rotation.members[0] ?? "";
      host.runtime.die(victim, 1);
      await until("it leaves the rotation", () => !host.rotation.members.includes(victim));
    };
    const steps = { ...noSteps, switched: dies };
    const error = await failure(host.set.update(deployment(host.runtime, "v2"), steps, c));
    expect(error).toMatchObject({
      code: "start-failed",
      message: expect.stringContaining("exited with code 1"),
    });
    await unharmed();
  });

  test("a new replica that falls ill before the last one is up", async () => {
    await using host = openHost({ replicas: 2 });
    const { unharmed } = await runningV1(host);
    let creates = 0;
    host.runtime.onCall = async (operation) => {
      if (operation !== "create" || ++creates !== 2) return;
      const fresh = host.rotation.members.at(-1) ?? "";
      host.runtime.behave(fresh, 500);
      await until("it leaves the rotation", () => !host.rotation.members.includes(fresh));
    };
    const error = await failure(host.set.update(deployment(host.runtime, "v2"), noSteps, c));
    expect(error).toMatchObject({ code: "health-failed", message: expect.stringContaining("500") });
    await unharmed();
    expect(host.rotation.fewest).toBe(2);
  });
});

describe("the fault of others keeps its own code", () => {
  const engineDown = new DewyError("engine-unreachable", "no answer");
  const diskFull = new DewyError("disk-full", "no space left");
  const faults = [
    ["create", 0, engineDown],
    ["create", 1, diskFull],
    ["start", 0, engineDown],
    ["start", 1, diskFull],
    ["inspect", 0, engineDown],
    ["inspect", 3, engineDown],
  ] as const;
  test.each(faults)("%s, after %d good ones", async (operation, after, error) => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    host.runtime.fail(operation, error, { after });
    expect(await failure(host.set.update(deployment(host.runtime, "v2"), noSteps, c))).toBe(error);
    await unharmed();
    expect(host.rotation.fewest).toBe(2);
  });

  test.each(["create", "start", "inspect"] as const)("an engine that goes away at %s", async (operation) => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    host.runtime.onCall = (called) => {
      if (called === operation) host.runtime.isDown = true;
    };
    const error = await failure(host.set.update(deployment(host.runtime, "v2"), noSteps, c));
    expect(error).toMatchObject({ code: "engine-unreachable" });
    expect(host.serving()).toEqual(["v1", "v1"]);
    host.runtime.onCall = () => undefined;
    host.runtime.isDown = false;
    await unharmed();
  });

  test("an answer to start that is lost leaves nothing behind", async () => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    host.runtime.fail("start", engineDown, { isAnswerLost: true });
    const error = await failure(host.set.update(deployment(host.runtime, "v2"), noSteps, c));
    expect(error).toBe(engineDown);
    await unharmed();
  });

  test("an answer to create that is lost is made up for under the same name", async () => {
    await using host = openHost();
    await runningV1(host);
    host.runtime.fail("create", engineDown, { isAnswerLost: true });
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.settles("v2");
  });

  test("a removal that fails while rolling back hides nothing, and is made up for", async () => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    host.runtime.fail("remove", new DewyError("engine-failed", "device busy"));
    const error = await failure(host.set.update(deployment(host.runtime, "v2", "exit"), noSteps, c));
    expect(error).toMatchObject({ code: "start-failed" });
    await unharmed();
  });

  test.each(["switched", "commit"] as const)("a step that fails: %s", async (step) => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    const error = new DewyError("hook-failed", "migration");
    const steps = { ...noSteps, [step]: () => Promise.reject(error) };
    expect(await failure(host.set.update(deployment(host.runtime, "v2"), steps, c))).toBe(error);
    await unharmed();
    expect(host.rotation.fewest).toBe(2);
  });

  test.each(["create", "start", "inspect"] as const)("an abort at %s", async (operation) => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    const abort = new AbortController();
    host.runtime.onCall = (called) => {
      if (called === operation) abort.abort(new Error("told to stop"));
    };
    const error = await failure(host.set.update(deployment(host.runtime, "v2"), noSteps, abort));
    expect(error).toMatchObject({ message: "told to stop" });
    await unharmed();
  });

  test("an abort within the after hook", async () => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    const abort = new AbortController();
    const steps = { ...noSteps, switched: async () => abort.abort(new Error("told to stop")) };
    const error = await failure(host.set.update(deployment(host.runtime, "v2"), steps, abort));
    expect(error).toMatchObject({ message: "told to stop" });
    await unharmed();
  });

  test("an engine that takes old and new down together", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const steps = {
      ...noSteps,
      switched: async () => {
        for (const { id } of host.runtime.containers) host.runtime.die(id);
        await until("it is seen", () => host.rotation.members.length === 0);
      },
    };
    const error = await failure(host.set.update(deployment(host.runtime, "v2"), steps, c));
    expect(error).toMatchObject({ code: "engine-failed", blame: "environment" });
    await host.settles("v1");
  });

  test("somebody who removes the new container", async () => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    const v2 = deployment(host.runtime, "v2", 503);
    const update = failure(host.set.update(v2, noSteps, c));
    const found = await until("the new one runs", () =>
      host.runtime.containers.find(
        ({ labels, status }) => labels["dewy.version"] === "v2" && status === "running",
      ),
    );
    await host.runtime.removeByHand(found.id);
    expect(await update).toMatchObject({ code: "engine-failed", blame: "environment" });
    await unharmed();
  });
});

test.each<[string, (host: Host, id: string) => void]>([
  ["removes", (host, id) => void host.runtime.removeByHand(id)],
  ["pauses", (host, id) => host.runtime.pause(id)],
])("somebody who %s a new container within the after hook", async (_, happen) => {
  await using host = openHost();
  const { unharmed } = await runningV1(host);
  const switched = async () => {
    const victim = host.rotation.members[0] ?? "";
    happen(host, victim);
    await until("it leaves the rotation", () => !host.rotation.members.includes(victim));
  };
  const error = await failure(host.set.update(deployment(host.runtime, "v2"), { ...noSteps, switched }, c));
  expect(error).toMatchObject({ code: "engine-failed", blame: "environment" });
  await unharmed();
});

describe("a host port that is taken", () => {
  const taken = new DewyError("engine-failed", "listen tcp4 127.0.0.1:32777: bind: address already in use");

  test("is followed by another one", async () => {
    await using host = openHost();
    for (let times = 0; times < 5; times++) host.runtime.fail("start", taken);
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    await host.settles("v1");
    expect(host.log.at("warn")).toEqual([]);
  });

  test("is the engine's failure when there is no end to it", async () => {
    await using host = openHost();
    const { unharmed } = await runningV1(host);
    for (let times = 0; times < 20; times++) host.runtime.fail("start", taken);
    expect(await failure(host.set.update(deployment(host.runtime, "v2"), noSteps, c))).toBe(taken);
    await unharmed();
  });
});

describe("a name that is taken", () => {
  test("by a leftover of ours is freed", async () => {
    await using host = openHost({ replicas: 1 });
    const v1 = deployment(host.runtime, "v1");
    await host.runtime.create(v1.makeSpec(0), c);
    await host.set.update(v1, noSteps, c);
    await host.settles("v1");
  });

  test("by somebody else is the engine's clear error", async () => {
    await using host = openHost({ replicas: 1 });
    const v1 = deployment(host.runtime, "v1");
    const spec = v1.makeSpec(0);
    const id = await host.runtime.create({ ...spec, body: { ...spec.body, Labels: {} } }, c);
    const error = await failure(host.set.update(v1, noSteps, c));
    expect(error).toMatchObject({ code: "engine-failed", message: expect.stringContaining("is in use by") });
    expect(host.runtime.containers.map((each) => each.id)).toEqual([id]);
  });
});

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
    await Bun.sleep(50);
    expect(host.serving()).toEqual(["v2"]);
    host.rotation.connect(old, 0);
    await third;
    await host.settles("v3");
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
