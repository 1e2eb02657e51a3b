import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import type { Call } from "../../src/util/async.ts";
import type { Behaviour } from "../support/fake-app.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { until } from "../support/until.ts";
import { c, deployment, failure, type Host, noSteps, openHost } from "./replica-set-host.ts";

/** So long that a new version's own failure is no way out. */
const patient = { path: "/up", timeoutMs: 60_000, intervalMs: 20, threshold: 3, greeting: "" };

function running(host: Host, version: string) {
  const alive = host.runtime.containers.filter(({ status }) => status === "running");
  return alive.filter(({ labels }) => labels["dewy.version"] === version);
}

const runs = (host: Host, version: string, count = 1) =>
  until(`${count} of ${version} run`, () => running(host, version).length === count);

/** v1 serves, and an update to a v2 of this behaviour is under way, with the first of its containers running. */
async function updating(replicas: number, behaviour: Behaviour) {
  const host = openHost({ replicas, health: patient });
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  const old = [...host.rotation.members];
  const over = new AbortController();
  const update = failure(host.set.update(deployment(host.runtime, "v2", behaviour), noSteps, over));
  await runs(host, "v2");
  return { host, old, update, over };
}

const nobodyLeft = {
  code: "serving-ended",
  blame: "environment",
  hint: expect.stringContaining("is started again"),
};

describe("while a new version is checked, what serves", () => {
  test.each<[string, (host: Host, id: string) => void, RegExp]>([
    [
      "ends",
      (host, id) => host.runtime.die(id),
      /^no container that serves was left while the new version was checked: shop-\d+-0 exited with code 137$/,
    ],
    ["is paused", (host, id) => host.runtime.pause(id), /-0 was paused$/],
    ["is removed", (host, id) => void host.runtime.removeByHand(id), /-0 was removed$/],
  ])("and %s is made good at once, and the new version gets no blame", async (_, happen, reason) => {
    const { host, old, update } = await updating(1, "mute");
    await using _host = host;
    happen(host, old[0] ?? "");
    const error = await update;
    expect(error).toHaveProperty("message", expect.stringMatching(reason));
    expect(error).toMatchObject(nobodyLeft);
    await host.settles("v1");
    expect(host.set.deployment?.version).toBe("v1");
    expect(host.losses).toMatchObject([{ kind: "died", version: "v1" }]);
    expect(host.log.at("error")).toEqual([]);
  });

  test("and ends, all of several, is made good at once", async () => {
    const { host, old, update } = await updating(3, "mute");
    await using _host = host;
    for (const id of old) host.runtime.die(id);
    expect(await update).toMatchObject(nobodyLeft);
    await host.settles("v1");
  });

  test("and ends, one of several, is made good once the update is over; what is left is told meanwhile", async () => {
    const { host, old, update, over } = await updating(2, "mute");
    await using _host = host;
    host.runtime.die(old[0] ?? "");
    await until("it is out", () => host.rotation.members.length === 1);
    expect(host.set.status()).toMatchObject({ kind: "serving", version: "v1", inRotation: 1, replicas: 2 });
    expect(host.set.trouble).toBe("it exited with code 137");
    await host.looksAgain();
    expect(running(host, "v1")).toHaveLength(1);
    over.abort(new Error("enough"));
    expect(await update).toMatchObject({ message: "enough" });
    await host.settles("v1");
    expect(host.rotation.members).toContain(old[1] ?? "");
    await until("it is past", () => host.set.trouble === null);
  });

  test("and falls ill, all of it, serves on for want of better; that is no good state to report", async () => {
    const { host, old, update, over } = await updating(1, "mute");
    await using _host = host;
    host.runtime.behave(old[0] ?? "", 503);
    const reason = expect.stringMatching(/\/up: 503$/);
    await until("it is down", () => host.set.status().kind === "down");
    expect(host.set.status()).toMatchObject({ kind: "down", reason });
    expect(host.set.trouble).toEqual(reason);
    expect(host.rotation.members).toEqual(old);
    host.runtime.behave(old[0] ?? "", "serve");
    await until("it is well", () => host.set.status().kind === "serving");
    over.abort(new Error("enough"));
    await update;
  });

  test("and is started again by the engine itself is waited for", async () => {
    const { host, old, update, over } = await updating(1, "mute");
    await using _host = host;
    const [only = ""] = old;
    host.runtime.set(only, { status: "restarting", exitCode: 1 });
    await until("nobody serves", () => host.rotation.members.length === 0);
    await host.looksAgain();
    host.runtime.restartByEngine(only);
    await until("it serves again", () => host.rotation.members.includes(only));
    over.abort(new Error("enough"));
    expect(await update).toMatchObject({ message: "enough" });
    await host.settles("v1");
    expect(host.rotation.members).toEqual([only]);
  });

  test("and ends when a new one serves already is not missed", async () => {
    await using host = openHost({ replicas: 2, health: patient });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const old = [...host.rotation.members];
    let creates = 0;
    host.runtime.onCall = async (operation) => {
      if (operation !== "create" || ++creates !== 2) return;
      for (const id of old) host.runtime.die(id);
      await until("they are out", () => old.every((id) => !host.rotation.members.includes(id)));
    };
    expect(await host.set.update(deployment(host.runtime, "v2"), noSteps, c)).toBe("restarted");
    await host.settles("v2");
  });

  test("and ends with the new one that had come already is made good", async () => {
    await using host = openHost({ replicas: 2, health: patient });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    let creates = 0;
    host.runtime.onCall = (operation) => {
      if (operation !== "create" || ++creates !== 2) return;
      host.runtime.addImage("shop:v2", "mute");
      for (const id of host.rotation.members) host.runtime.die(id);
    };
    expect(await failure(host.set.update(deployment(host.runtime, "v2"), noSteps, c))).toMatchObject(
      nobodyLeft,
    );
    await host.settles("v1");
  });
});

describe("where nobody serves to begin with", () => {
  test("a new version goes on, as it may be the cure", async () => {
    await using host = openHost({ replicas: 1, health: patient });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.addImage("shop:v1", "exit");
    host.runtime.die(host.rotation.members[0] ?? "");
    await until("it can't be made good", () => host.losses.some(({ kind }) => kind === "not-started"));
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.settles("v2");
  });

  async function beingMadeGood() {
    const host = openHost({ replicas: 1, health: patient });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [old = ""] = host.rotation.members;
    host.runtime.addImage("shop:v1", 503);
    host.runtime.die(old);
    await until("the old one is gone", () => !host.runtime.containers.some(({ id }) => id === old));
    await runs(host, "v1");
    return { host, replacement: running(host, "v1")[0]?.id ?? "" };
  }

  test("what is about to serve again is not put off for a new version", async () => {
    const { host, replacement } = await beingMadeGood();
    await using _host = host;
    const update = host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.looksAgain();
    expect(host.names()).toHaveLength(1);
    host.runtime.behave(replacement, "serve");
    await update;
    await host.settles("v2");
    expect(host.rotation.course).toContain(`admit ${replacement}`);
  });

  test("a new version that waits for it is given up at once", async () => {
    const { host } = await beingMadeGood();
    await using _host = host;
    const given = new AbortController();
    const update = failure(host.set.update(deployment(host.runtime, "v2"), noSteps, given));
    given.abort(new Error("given up"));
    expect(await update).toMatchObject({ message: "given up" });
  });

  test("the way back waits for nothing", async () => {
    const { host } = await beingMadeGood();
    await using _host = host;
    const v0 = deployment(host.runtime, "v0");
    await host.set.update(v0, { ...noSteps, returning: true }, c);
    await host.settles("v0");
  });
});

describe("the end of what serves does not break off", () => {
  test("a restart, which brings the same", async () => {
    await using host = openHost({ replicas: 1, health: patient });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [old = ""] = host.rotation.members;
    host.runtime.addImage("shop:v1", 503);
    const restart = host.set.restart(c);
    await runs(host, "v1", 2);
    const fresh = running(host, "v1").find(({ id }) => id !== old)?.id ?? "";
    host.runtime.die(old);
    await until("nobody serves", () => host.rotation.members.length === 0);
    await host.looksAgain();
    host.runtime.behave(fresh, "serve");
    await restart;
    await host.settles("v1");
    expect(host.rotation.members).toEqual([fresh]);
  });

  test("the way back from it", async () => {
    await using host = openHost({ replicas: 1, health: patient }, new MemoryRuntime());
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    const back = deployment(host.runtime, "v1", 503);
    const update = host.set.update(back, { ...noSteps, returning: true }, c);
    await runs(host, "v1");
    const fresh = running(host, "v1")[0]?.id ?? "";
    host.runtime.die(host.rotation.members[0] ?? "");
    await until("nobody serves", () => host.rotation.members.length === 0);
    await host.looksAgain();
    host.runtime.behave(fresh, "serve");
    expect(await update).toBe("restarted");
    await host.settles("v1");
  });
});

test("the after hook is told to stop when the new ones and the old ones are gone, as clients wait", async () => {
  await using host = openHost({ health: patient });
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  const switched = async (call: Call) => {
    for (const { id } of host.runtime.containers) host.runtime.die(id);
    await new Promise((_, reject) =>
      call.signal.addEventListener("abort", () => reject(call.signal.reason), { once: true }),
    );
  };
  const update = host.set.update(deployment(host.runtime, "v2"), { ...noSteps, switched }, c);
  expect(await failure(update)).toMatchObject(nobodyLeft);
  await host.settles("v1");
});

test("a version gone back to that fails by its own fault is blamed though what ran has ended, too", async () => {
  await using host = openHost({ health: patient });
  await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
  const back = deployment(host.runtime, "v1", 503);
  const update = failure(host.set.update(back, { ...noSteps, returning: true }, c));
  await runs(host, "v1", 2);
  for (const { id } of running(host, "v2")) host.runtime.die(id);
  for (const { id } of running(host, "v1")) host.runtime.die(id, 3);
  expect(await update).toMatchObject({ code: "start-failed", blame: "release" });
});

test("a new version that fails by its own fault is blamed though one that served has ended meanwhile", async () => {
  const { host, old, update } = await updating(2, "mute");
  await using _host = host;
  host.runtime.die(old[0] ?? "");
  await until("it is out", () => !host.rotation.members.includes(old[0] ?? ""));
  host.runtime.die(running(host, "v2")[0]?.id ?? "", 3);
  expect(await update).toMatchObject({ code: "start-failed", blame: "release" });
  await host.settles("v1");
});

test("and is, too, when it is tried again after what served was made good", async () => {
  const { host, old, update } = await updating(1, "mute");
  await using _host = host;
  host.runtime.die(old[0] ?? "");
  expect(await update).toBeInstanceOf(DewyError);
  await host.settles("v1");
  const again = await failure(host.set.update(deployment(host.runtime, "v2", "exit"), noSteps, c));
  expect(again).toMatchObject({ code: "start-failed", blame: "release" });
  await host.settles("v1");
});

test("a new version that ends together with what served gets no blame, and what it ended of is told", async () => {
  await using host = openHost({ replicas: 1, health: patient });
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  const [old = ""] = host.rotation.members;
  host.runtime.onCall = async (operation) => {
    if (operation === "inspect" && running(host, "v1").length > 0) host.runtime.die(old);
    // The new one's end is known first.
    if (operation === "list") await until("it is removed", () => host.runtime.calls.includes("remove"));
  };
  const error = await failure(host.set.update(deployment(host.runtime, "v2", "exit"), noSteps, c));
  expect(error).toHaveProperty(
    "message",
    expect.stringMatching(
      /exited with code 137, and the new version failed: the new container did not come up: it exited with code 3/,
    ),
  );
  expect(error).toMatchObject(nobodyLeft);
  host.runtime.onCall = () => undefined;
  await host.settles("v1");
});
