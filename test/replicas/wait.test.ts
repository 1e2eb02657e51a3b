import { expect, test } from "bun:test";
import { containerWords } from "../../src/container/words.ts";
import type { Probed } from "../../src/health/policy.ts";
import { Replica } from "../../src/replicas/replica.ts";
import { untilHealthy } from "../../src/replicas/wait.ts";
import { FakeClock } from "../support/clock.ts";
import { newContainer } from "../support/memory-container.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { c, deployment } from "./replica-set-host.ts";

const timeoutMs = 6000;

/** Waits for a replica whose one check is `check`; answers how it ended, when, and how long each try was given. */
async function waitFor(check: (limitMs: number, clock: FakeClock) => Promise<Probed>) {
  const runtime = new MemoryRuntime();
  const clock = new FakeClock();
  const spec = deployment(runtime, "v1", "serve", { ports: [] });
  const replica = new Replica("c1", "shop-1-0", 0, spec, 0);
  const running = newContainer("c1", spec.makeSpec(0), runtime.addImage("shop:v1"));
  replica.see({ ...running, status: "running" }, 1, { rootless: false });
  const limits: number[] = [];
  const engine = {
    words: containerWords,
    listening: async () => null,
    check: (_: unknown, limitMs: number) => {
      limits.push(limitMs);
      return check(limitMs, clock);
    },
  };
  const policy = { path: null, timeoutMs, intervalMs: 100, threshold: 3, greeting: "" };
  const deps = { minUptimeMs: 0, engine, clock, look: async () => undefined, onProbed: () => undefined };
  const ended = untilHealthy(replica, policy, deps, c)
    .catch((error: unknown) => error)
    .then((how) => ({ how, afterMs: clock.monotonicMs() }));
  await clock.advance(10 * timeoutMs);
  return { ...(await ended), limits };
}

test("a replica that never answers is given up when its time is over, not a whole try later", async () => {
  const { how, afterMs, limits } = await waitFor(async (limitMs, clock) => {
    await clock.sleep(limitMs, c.signal);
    return { ok: false, seen: "no answer" };
  });
  expect(how).toMatchObject({
    code: "health-failed",
    message: expect.stringContaining("last seen: no answer"),
  });
  expect(limits.length).toBeGreaterThan(1);
  expect(afterMs).toBe(timeoutMs);
});

test("a replica that answers in its last moments has a fair try", async () => {
  const { how, limits } = await waitFor(async (_, clock) => ({
    ok: clock.monotonicMs() >= timeoutMs - 1,
    seen: "it answers",
  }));
  expect(how).toMatchObject({ last: { ok: true } });
  expect(Math.min(...limits)).toBe(500);
});

test("a replica that this host could not ask is not blamed", async () => {
  const { how } = await waitFor(async () => ({ ok: false, seen: "no ports left", unasked: true }));
  expect(how).toMatchObject({
    code: "health-unknown",
    blame: "environment",
    message: "whether the new container is healthy could not be found out: no ports left",
  });
});
