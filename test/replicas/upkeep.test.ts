import { describe, expect, test } from "bun:test";
import { DewyError } from "../../src/errors.ts";
import { records } from "../../src/events.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { until } from "../support/until.ts";
import { c, deployment, type Host, noSteps, openHost, SkewedClock } from "./replica-set-host.ts";

describe("the trouble", () => {
  test("is none before the first deploy, and none while all is well", async () => {
    await using host = openHost();
    expect(host.set.trouble).toBeNull();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    expect(host.set.trouble).toBeNull();
  });

  test("is why a replica is missing, until another one serves", async () => {
    await using host = openHost({ replicas: 1 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.die(host.rotation.members[0] ?? "", 137);
    await until("it is named", () => host.set.trouble === "it exited with code 137");
    await host.settles("v1", 1);
    await until("it is past", () => host.set.trouble === null);
  });

  test("is a check that fails everywhere, though all stay in the rotation", async () => {
    await using host = openHost({ replicas: 1 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.addImage("shop:v1", 503);
    host.runtime.behave(host.rotation.members[0] ?? "", 503);
    await until("it is named", () => host.set.trouble?.endsWith(": 503") === true);
    expect(host.rotation.members).toHaveLength(1);
  });

  test("is an image that is gone", async () => {
    await using host = openHost();
    const v1 = deployment(host.runtime, "v1");
    host.runtime.fail("create", new DewyError("not-found", "no such image: shop:v1"));
    host.runtime.fail("create", new DewyError("not-found", "no such image: shop:v1"));
    await host.set.resume(v1, c);
    expect(host.set.trouble).toBe("no such image: shop:v1");
    await host.settles("v1");
    await until("it is past", () => host.set.trouble === null);
  });
});

const patient = { path: "/up", timeoutMs: 60_000, intervalMs: 20, threshold: 1e9, greeting: "" };

describe("a loss that was made good", () => {
  /** It runs again, and has not proved itself. */
  async function restarted(host: Host) {
    const [only = ""] = host.rotation.members;
    host.runtime.addImage("shop:v1", "mute");
    host.runtime.behave(only, "mute");
    host.runtime.restartByEngine(only);
    await until("it does not serve", () => host.rotation.members.length === 0);
  }

  test("does not explain a replica that the engine has started again, and that is checked yet", async () => {
    await using host = openHost({ replicas: 1, health: patient });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    host.runtime.die(host.rotation.members[0] ?? "", 1);
    await host.settles("v1");
    await until("all is well", () => host.set.status().kind === "serving");
    await host.looksAgain();
    await restarted(host);
    expect(host.set.status()).toEqual({ kind: "starting", pid: null });
    expect(host.set.trouble).toBeNull();
  });

  test("by its own recovery is told anew when it comes back", async () => {
    await using host = openHost({ replicas: 1 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [only = ""] = host.rotation.members;
    for (const times of [1, 2]) {
      host.runtime.addImage("shop:v1", 503);
      host.runtime.behave(only, 503);
      await until("it is sick", () => host.losses.filter(({ kind }) => kind === "sick").length === times);
      host.runtime.behave(only, "serve");
      await until("it is well", () => host.set.status().kind === "serving");
      await host.looksAgain();
    }
  });
});

describe("while it runs", () => {
  async function running(overrides = {}): Promise<{ host: Host; first: string; second: string }> {
    const host = openHost(overrides);
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [first = "", second = ""] = host.rotation.members;
    return { host, first, second };
  }
  const out = (host: Host, id: string) =>
    until("it left the rotation", () => !host.rotation.members.includes(id));

  test.each<[string, (host: Host, id: string) => void]>([
    ["dies", (host, id) => host.runtime.die(id)],
    ["is paused", (host, id) => host.runtime.pause(id)],
    ["is removed by hand", (host, id) => void host.runtime.removeByHand(id)],
    ["is put out of use by the engine", (host, id) => host.runtime.set(id, { status: "dead" })],
  ])("a replica that %s is replaced, and the other serves on", async (_, happen) => {
    const { host, first, second } = await running();
    await using _host = host;
    happen(host, first);
    await out(host, first);
    expect(host.rotation.members).toContain(second);
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
    expect(host.losses).toMatchObject([{ kind: "died", version: "v1" }]);
    expect(host.log.at("error")).toEqual([]);
  });

  test("the engine's events are heeded at once, whatever the interval", async () => {
    const { host, first } = await running({
      health: { path: "/up", timeoutMs: 500, intervalMs: 3_600_000, threshold: 3, greeting: "" },
    });
    await using _host = host;
    let looks = -1;
    await until("it looks no more after the update", () => {
      const before = looks;
      looks = host.runtime.calls.filter((call) => call === "list").length;
      return looks === before;
    });
    host.runtime.die(first);
    await until("it left", () => !host.rotation.members.includes(first));
    await host.settles("v1");
  });

  test("one that fails its checks leaves, and goes when its replacement is well", async () => {
    const { host, first, second } = await running();
    await using _host = host;
    host.runtime.behave(first, 503);
    await out(host, first);
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
    expect(host.losses).toMatchObject([{ kind: "sick", reason: expect.stringContaining("503") }]);
    expect(host.log.at("warn")).toContain(records.healthFailed);
  });

  test("one or two failed checks are nothing", async () => {
    const { host, first } = await running({
      health: { path: "/up", timeoutMs: 500, intervalMs: 30, threshold: 1e9, greeting: "" },
    });
    await using _host = host;
    host.runtime.behave(first, 503);
    const failing = () => host.set.replicas().some(({ seen }) => seen.includes("503"));
    await until("a check failed", failing);
    expect(host.rotation.members).toContain(first);
    host.runtime.behave(first, "serve");
    await until("a check passed", () => !failing());
    expect(host.losses).toEqual([]);
  });

  test("when every replica fails its checks all serve on, until one is well", async () => {
    const { host, first, second } = await running();
    await using _host = host;
    host.runtime.addImage("shop:v1", 503);
    host.rotation.watchFewest();
    for (const id of [first, second]) host.runtime.behave(id, 503);
    await until(
      "both are sick",
      () => host.set.replicas().filter(({ state }) => state === "sick").length === 2,
    );
    await until("a replacement failed", () => host.losses.some(({ kind }) => kind === "not-started"));
    expect(new Set(host.rotation.members)).toEqual(new Set([first, second]));
    expect(host.rotation.fewest).toBeGreaterThan(0);
    host.runtime.addImage("shop:v1", "serve");
    host.runtime.behave(second, "serve");
    await until("only the well one serves", () => !host.rotation.members.includes(first));
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
    expect(host.log.at("info")).toContain("Healthy replicas serve again");
  });

  test("one that the engine starts again serves at its new host port once it is well", async () => {
    const { host, first } = await running({ replicas: 1 });
    await using _host = host;
    const before = host.rotation.addresses(first);
    host.runtime.restartByEngine(first);
    await until("it serves elsewhere", () => {
      const now = host.rotation.addresses(first);
      return now !== undefined && host.rotation.members.includes(first) && !Bun.deepEquals(now, before);
    });
    expect(host.names()).toHaveLength(1);
    expect(host.losses).toEqual([]);
  });

  test("one that gets another address is reached there, without leaving the rotation", async () => {
    const { host, first } = await running({ replicas: 1 });
    await using _host = host;
    host.rotation.watchFewest();
    host.runtime.set(first, { addresses: ["172.17.0.9"] });
    const direct = { host: "172.17.0.9", port: 8080 };
    await until("it is known", () => Bun.deepEquals(host.rotation.addresses(first)?.get(8000)?.[1], direct));
    expect(host.rotation.fewest).toBe(1);
  });

  test("one that the engine keeps restarting is replaced in the end", async () => {
    const { host, first } = await running({ replicas: 2 });
    await using _host = host;
    host.runtime.set(first, { status: "restarting", exitCode: 1 });
    await out(host, first);
    expect(host.losses).toEqual([]);
    await until("it is replaced", () => !host.runtime.containers.some(({ id }) => id === first));
    await host.settles("v1");
  });

  test("the image's HEALTHCHECK decides where no path is given", async () => {
    const clock = new SkewedClock();
    const health = { path: null, timeoutMs: 300, intervalMs: 20, threshold: 2, greeting: "" };
    await using host = openHost({ replicas: 1, health }, new MemoryRuntime(), clock);
    const v1 = deployment(host.runtime, "v1", "serve", { usesHealthcheck: true });
    const update = host.set.update(v1, noSteps, c);
    const id = await until(
      "it runs",
      () => host.runtime.containers.find(({ status }) => status === "running")?.id,
    );
    clock.aheadMs += 400;
    const { total } = host.set.tally.checks;
    await until("it is asked on", () => host.set.tally.checks.total > total + 2);
    expect(host.rotation.members).toEqual([]);
    host.runtime.set(id, { health: "healthy" });
    await update;
    host.runtime.set(id, { health: "unhealthy" });
    await until("it is sick", () => host.losses.some(({ kind }) => kind === "sick"));
    expect(host.losses[0]?.reason).toBe("the HEALTHCHECK says unhealthy");
  });

  test("a HEALTHCHECK that says unhealthy at the deadline fails the release", async () => {
    await using host = openHost({
      replicas: 1,
      health: { path: null, timeoutMs: 300, intervalMs: 20, threshold: 2, greeting: "" },
    });
    const v1 = deployment(host.runtime, "v1", "serve", { usesHealthcheck: true });
    const update = host.set.update(v1, noSteps, c).catch((error: unknown) => error);
    const id = await until(
      "it runs",
      () => host.runtime.containers.find(({ status }) => status === "running")?.id,
    );
    host.runtime.set(id, { health: "unhealthy" });
    expect(await update).toMatchObject({
      code: "health-failed",
      message: expect.stringContaining("unhealthy"),
    });
  });

  test("a replica that keeps dying is started ever more rarely", async () => {
    const { host } = await running({ replicas: 1 });
    await using _host = host;
    let diedMs = 0;
    for (let deaths = 1; deaths <= 3; deaths++) {
      const [id = ""] = await until(
        "it serves",
        () => host.rotation.members.length === 1 && host.rotation.members,
      );
      diedMs = performance.now();
      host.runtime.die(id);
      await until("it is noticed", () => host.losses.length === deaths);
    }
    await host.settles("v1");
    expect(performance.now() - diedMs).toBeGreaterThanOrEqual(790);
    expect(host.losses.map(({ delayMs }) => delayMs)).toEqual([200, 400, 800]);
  });

  test("while the engine is away the rotation stays as it is, and what happened is seen after", async () => {
    const { host, first, second } = await running();
    await using _host = host;
    host.runtime.isDown = true;
    host.runtime.die(first);
    await until("it was asked in vain", () => host.log.at("warn").length === 1);
    expect(new Set(host.rotation.members)).toEqual(new Set([first, second]));
    host.runtime.isDown = false;
    await host.settles("v1");
    expect(host.rotation.members).toContain(second);
  });

  test("an update does not wait for a replacement that never gets well", async () => {
    const { host, first } = await running({
      replicas: 1,
      health: { path: "/up", timeoutMs: 60_000, intervalMs: 20, threshold: 1, greeting: "" },
    });
    await using _host = host;
    host.runtime.addImage("shop:v1", 503);
    host.runtime.behave(first, 503);
    await until("a replacement is starting", () => host.names().length === 2);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    await host.settles("v2");
  });

  test("a leftover that can't be removed is tried again, and said once", async () => {
    const { host, first } = await running();
    await using _host = host;
    for (let times = 0; times < 3; times++) {
      host.runtime.fail("remove", new DewyError("engine-failed", "device busy"));
    }
    host.runtime.die(first);
    await host.settles("v1");
    expect(host.log.at("warn").filter((message) => message === "Old replica not removed yet")).toHaveLength(
      1,
    );
  });
});

test("that the image is gone is known from the start that failed for it, until one works", async () => {
  await using host = openHost({ replicas: 1 });
  await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
  expect(host.set.lacksImage).toBe(false);
  host.runtime.fail("create", new DewyError("not-found", "no such image"));
  const [only = ""] = host.rotation.members;
  await host.runtime.removeByHand(only);
  await until("it is known", () => host.set.lacksImage);
  await host.settles("v1", 1);
  expect(host.set.lacksImage).toBe(false);
});
