import { describe, expect, test } from "bun:test";
import type { Container } from "../../src/container/runtime.ts";
import { Replica } from "../../src/replicas/replica.ts";
import { Tally } from "../../src/replicas/tally.ts";
import { FakeClock } from "../support/clock.ts";
import { newContainer } from "../support/memory-container.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { until } from "../support/until.ts";
import { c, deployment, noSteps, openHost } from "./replica-set-host.ts";

const runtime = new MemoryRuntime();
const v1 = deployment(runtime, "v1");

function replicaThat(changes: Partial<Container>, name = "shop-1-0", number = 0): Replica {
  const replica = new Replica(name, name, number, v1, 0);
  const container = newContainer(name, v1.makeSpec(number), runtime.addImage("shop:v1"));
  replica.see({ ...container, ...changes }, 1, { rootless: false });
  return replica;
}

describe("a tally", () => {
  test("counts checks, and as failures those that say something", () => {
    const tally = new Tally(new FakeClock());
    tally.checked({ ok: true, seen: "" });
    tally.checked({ ok: false, seen: "" });
    tally.checked({ ok: false, seen: "", pending: true });
    expect(tally.checks).toEqual({ total: 3, failures: 1 });
  });

  test("keeps how the last container of each replica ended, for an hour", async () => {
    const clock = new FakeClock();
    const tally = new Tally(clock);
    tally.ended(replicaThat({ status: "exited", exitCode: 1 }));
    tally.ended(replicaThat({ status: "exited", exitCode: 2 }, "shop-1-1", 1));
    await clock.advance(30 * 60_000);
    tally.ended(replicaThat({ status: "exited", exitCode: 137, oomKilled: true }, "shop-2-0"));
    expect(tally.endings).toEqual([
      { name: "shop-2-0", replica: 0, exitCode: 137, oomKilled: true },
      { name: "shop-1-1", replica: 1, exitCode: 2, oomKilled: false },
    ]);
    await clock.advance(30 * 60_000);
    expect(tally.endings.map(({ name }) => name)).toEqual(["shop-2-0"]);
    await clock.advance(30 * 60_000);
    expect(tally.endings).toEqual([]);
  });

  test("knows nothing of one that has not exited", () => {
    const tally = new Tally(new FakeClock());
    tally.ended(replicaThat({ status: "running", exitCode: null }));
    tally.ended(new Replica("c9", "shop-9-9", 9, v1, 0));
    expect(tally.endings).toEqual([]);
  });
});

describe("a replica set", () => {
  test("counts the checks of new replicas and of those that serve", async () => {
    await using host = openHost();
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const { total } = host.set.tally.checks;
    expect(total).toBeGreaterThanOrEqual(2);
    await until("more checks", () => host.set.tally.checks.total > total + 2);
    expect(host.set.tally.checks.failures).toBe(0);
  });

  test("counts what failed, and says how a release that ended at its start did so", async () => {
    await using host = openHost({ replicas: 1 });
    const update = host.set.update(deployment(host.runtime, "v1", "exit"), noSteps, c);
    expect(await update.catch((error: Error) => error.message)).toMatch(/exited/);
    expect(host.set.tally.endings).toMatchObject([{ replica: 0, oomKilled: false }]);
  });

  test("says how one that died ended", async () => {
    await using host = openHost({ replicas: 1 });
    await host.set.update(deployment(host.runtime, "v1"), noSteps, c);
    const [died] = host.set.replicas();
    host.runtime.die(died?.id ?? "", 3);
    await until("its end", () => host.set.tally.endings.length > 0);
    expect(host.set.tally.endings).toMatchObject([{ name: died?.name, exitCode: 3 }]);
    await host.set.update(deployment(host.runtime, "v2"), noSteps, c);
    expect(host.set.tally.endings).toEqual([]);
  });
});
