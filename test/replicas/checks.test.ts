import { expect, test } from "bun:test";
import type { Container } from "../../src/container/runtime.ts";
import type { Probed } from "../../src/health/policy.ts";
import { silentLog } from "../../src/log.ts";
import { Checks } from "../../src/replicas/checks.ts";
import { Members } from "../../src/replicas/members.ts";
import { Replica } from "../../src/replicas/replica.ts";
import { Tally } from "../../src/replicas/tally.ts";
import { systemClock } from "../../src/util/time.ts";
import { FakeRotation } from "../support/fake-rotation.ts";
import { newContainer } from "../support/memory-container.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { c, deployment } from "./replica-set-host.ts";

test("what a check saw of a process that the engine has replaced meanwhile does not count", async () => {
  const runtime = new MemoryRuntime();
  const v1 = deployment(runtime, "v1");
  const replica = new Replica("c1", "shop-1-0", 0, v1, 0);
  replica.phase = "serving";
  let onRequest: () => void = () => undefined;
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch() {
      onRequest();
      return new Response("up");
    },
  });
  const running = (restartCount: number): Container => ({
    ...newContainer("c1", v1.makeSpec(0), runtime.addImage("shop:v1")),
    status: "running",
    restartCount,
    startedAt: new Date(restartCount),
    ports: [{ appPort: 8080, hostIp: "127.0.0.1", hostPort: server.port ?? 0 }],
  });
  const rotation = new FakeRotation();
  const members = new Members(rotation, 3, silentLog);
  members.add(replica);
  replica.see(running(0), 1, { rootless: false });
  onRequest = () => replica.see(running(1), 2, { rootless: false });
  const health = { path: "/up", timeoutMs: 1000, intervalMs: 10, threshold: 3, greeting: "" };
  const checks = new Checks({
    engine: { runtime, words: runtime.words },
    health,
    members,
    tally: new Tally(systemClock),
    clock: systemClock,
    log: silentLog,
    onChange: () => undefined,
  });
  await checks.check(replica, c);
  expect(replica.health.kind).toBe("unproven");
  expect(rotation.members).toEqual([]);
  onRequest = () => undefined;
  await checks.check(replica, c);
  expect(rotation.members).toEqual(["c1"]);
});

test("what this host could not ask stays in rotation, and why it was not asked is said once", async () => {
  let answer: Probed = { ok: true, seen: "it answers" };
  const runtime = Object.assign(new MemoryRuntime(), { check: async () => answer });
  const v1 = deployment(runtime, "v1", "serve", { ports: [] });
  const replica = new Replica("c1", "shop-1-0", 0, v1, 0);
  replica.phase = "serving";
  const rotation = new FakeRotation();
  const members = new Members(rotation, 3, silentLog);
  members.add(replica);
  const running = newContainer("c1", v1.makeSpec(0), runtime.addImage("shop:v1"));
  replica.see({ ...running, status: "running" }, 1, { rootless: false });
  const tally = new Tally(systemClock);
  const warned: unknown[] = [];
  const checks = new Checks({
    engine: { runtime, words: runtime.words },
    health: { path: null, timeoutMs: 1000, intervalMs: 10, threshold: 3, greeting: "" },
    members,
    tally,
    clock: systemClock,
    log: { ...silentLog, warn: (message, attributes) => warned.push([message, attributes]) },
    onChange: () => undefined,
  });
  await checks.check(replica, c);
  answer = { ok: false, seen: "no ports left", unasked: true };
  for (let n = 0; n < 5; n++) await checks.check(replica, c);
  expect(replica.health).toMatchObject({ kind: "well", failures: 0, seen: "no ports left" });
  expect(rotation.members).toEqual(["c1"]);
  expect(warned).toEqual([
    ["Health could not be checked", { container: "shop-1-0", error: "no ports left" }],
  ]);
  expect(tally.checks).toEqual({ total: 1, failures: 0 });
});
