import { describe, expect, test } from "bun:test";
import { DewyError, type ErrorCode } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import type { Behaviour } from "../support/fake-app.ts";
import { until } from "../support/until.ts";
import { c, deployment, failure, type Host, noSteps, openHost, runningV1 } from "./replica-set-host.ts";

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
    expect(error).toMatchObject({
      blame: "environment",
      message: expect.stringMatching(/^no container that serves was left .* exited with code 137/),
    });
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
