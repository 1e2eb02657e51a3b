import { describe, expect, test } from "bun:test";
import type { Container } from "../../src/container/runtime.ts";
import type { Health } from "../../src/health/policy.ts";
import {
  engineBackOff,
  type LossHistory,
  nextLoss,
  noLosses,
  replicaBackOff,
} from "../../src/replicas/back-off.ts";
import {
  freeNumbers,
  isStale,
  planOf,
  rotationOf,
  type Standing,
  standingOf,
  surplusOf,
  type Verdict,
  verdictOf,
} from "../../src/replicas/reconcile.ts";
import { Replica } from "../../src/replicas/replica.ts";
import { newContainer } from "../support/memory-container.ts";
import { MemoryRuntime } from "../support/memory-runtime.ts";
import { deployment, root } from "./replica-set-host.ts";

const runtime = new MemoryRuntime();
const v1 = deployment(runtime, "v1");
const image = runtime.addImage("shop:v1");
const engine = { rootless: false };

function container(fields: Partial<Container> = {}, labels: Record<string, string> = {}): Container {
  const made = newContainer("c1", v1.makeSpec(0), image);
  const ports = [{ appPort: 8080, hostIp: "127.0.0.1", hostPort: 40_000 }];
  return { ...made, status: "running", ports, ...fields, labels: { ...made.labels, ...labels } };
}

function replica(kind: Health["kind"], fields: Partial<Container> = {}, failures = 0): Replica {
  const made = new Replica(fields.id ?? "c1", "shop-1-0", 0, v1, 0);
  made.see(container(fields), 1, engine);
  made.phase = "serving";
  made.health = { kind, failures, seen: "", sinceMs: 0 };
  return made;
}

describe("an unknown container of the app", () => {
  test.each<[string, Container, Verdict]>([
    ["runs the deployment", container(), "adopt"],
    ["runs it with other options", container({}, { "dewy.options": "o2" }), "adopt"],
    ["names its image as podman does", container({ imageId: image.id.slice(7) }), "adopt"],
    ["was made by the original", container({}, { "dewy.root": "", "dewy.options": "" }), "adopt"],
    ["runs another version", container({}, { "dewy.version": "v2" }), "remove"],
    ["runs another image of the same tag", container({ imageId: "sha256:other" }), "remove"],
    ["was never started", container({ status: "created" }), "remove"],
    ["has ended", container({ status: "exited" }), "remove"],
    ["is paused", container({ status: "paused" }), "remove"],
    ["is being removed", container({ status: "removing" }), "wait"],
    ["belongs to another directory", container({}, { "dewy.root": "/srv/other" }), "foreign"],
    ["is not dewy's", container({}, { "dewy.managed": "" }), "foreign"],
  ])("that %s: %s", (_, found, verdict) => {
    expect(verdictOf(found, v1, root)).toBe(verdict);
  });

  test("is stale when it was made with other options", () => {
    expect(isStale(container(), v1)).toBe(false);
    expect(isStale(container({}, { "dewy.options": "o2" }), v1)).toBe(true);
    expect(isStale(container({}, { "dewy.options": "" }), v1)).toBe(true);
  });
});

describe("a serving replica", () => {
  const away = replica("well");
  away.see(container({ status: "restarting" }), 100, engine);
  const gone = replica("well");
  gone.see(null, 100, engine);
  const starting = replica("unproven");
  starting.phase = "starting";

  test.each<[string, Replica, number, Standing]>([
    ["is well", replica("well"), 0, "counts"],
    ["has not passed a check yet", replica("unproven"), 0, "counts"],
    ["fails its checks", replica("sick"), 0, "sick"],
    ["has ended", replica("well", { status: "exited" }), 0, "lost"],
    ["is paused", replica("well", { status: "paused" }), 0, "lost"],
    ["is gone", gone, 200, "lost"],
    ["is being restarted by the engine", away, 1099, "counts"],
    ["is being restarted for too long", away, 1100, "lost"],
    ["is still being started", starting, 0, "busy"],
  ])("that %s", (_, each, nowMs, standing) => {
    expect(standingOf(each, 1000, nowMs)).toBe(standing);
  });

  test("is judged by the latest answer, whichever comes last", () => {
    const each = replica("well");
    each.see(container({ status: "exited" }), 50, engine);
    each.see(container(), 40, engine);
    expect(each.isRunning).toBe(false);
  });

  test("has to prove itself again after the engine has restarted it", () => {
    const each = replica("well");
    each.see(container({ restartCount: 1, startedAt: new Date(5) }), 50, engine);
    expect(each.health.kind).toBe("unproven");
    each.health = { ...each.health, kind: "well" };
    each.see(container({ restartCount: 1, startedAt: new Date(5) }), 60, engine);
    expect(each.health.kind).toBe("well");
  });
});

describe("in the rotation are", () => {
  const well = replica("well");
  const sick = replica("sick", {}, 3);
  const dead = replica("well", { status: "exited" });
  const portless = replica("well", { ports: [] });
  const fresh = replica("unproven");
  const neverWell = replica("unproven", {}, 3);
  const standby = replica("well");
  standby.phase = "standby";

  test.each<[string, Replica[], Replica[]]>([
    ["those that are well", [well, sick, dead, portless, fresh, standby], [well]],
    ["all that run, when none is well", [sick, dead, portless, fresh, neverWell], [sick, neverWell]],
    ["those that stand by, when no new one is well", [sick, dead, neverWell, standby], [standby]],
    ["none, when none runs", [dead, portless, fresh], []],
  ])("%s", (_, replicas, serving) => {
    expect(rotationOf(replicas, 3)).toEqual(serving);
  });
});

describe("too many are", () => {
  const [a, b, d] = [replica("well"), replica("well"), replica("well")];
  const sick = replica("sick");
  const fresh = replica("unproven");
  test.each<[string, Replica[], number, Replica[]]>([
    ["the last ones", [a, b, d], 2, [d]],
    ["sick ones that have been replaced", [sick, a, b], 2, [sick]],
    ["none as long as replicas are missing", [sick, fresh, a], 2, []],
    ["unproven ones beside enough well ones", [fresh, a, b], 2, [fresh]],
  ])("%s", (_, replicas, wanted, surplus) => {
    expect(surplusOf(replicas, wanted)).toEqual(surplus);
  });
});

test("a plan leaves alone what somebody sees to already", () => {
  const situation = { replicas: [], deployment: v1, root, wanted: 2, restartMs: 1000, nowMs: 0 };
  const instances = [
    container({ id: "a" }),
    container({ id: "b" }),
    container({ id: "x", status: "exited" }),
  ];
  const plan = planOf({ ...situation, instances, isBusy: (id) => id === "a" });
  expect(plan.adopt.map(({ id }) => id)).toEqual(["b"]);
  expect(plan.remove.map(({ id }) => id)).toEqual(["x"]);
  expect(plan.missing).toBe(2);
});

test("new replicas take the lowest free numbers", () => {
  expect(freeNumbers(3, new Set())).toEqual([0, 1, 2]);
  expect(freeNumbers(2, new Set([0, 2]))).toEqual([1, 3]);
  expect(freeNumbers(0, new Set([1]))).toEqual([]);
});

describe("the back-off", () => {
  function delays(timesMs: readonly number[], policy = replicaBackOff): number[] {
    let history: LossHistory = noLosses;
    return timesMs.map((nowMs) => {
      const next = nextLoss(history, nowMs, policy);
      history = next.history;
      return next.delayMs;
    });
  }
  test.each<[string, number[], number[]]>([
    ["doubles with each loss in a row", [0, 1, 2, 3], [200, 400, 800, 1600]],
    [
      "never exceeds a minute",
      Array(12).fill(0),
      [...Array(9).keys()].map((n) => 200 * 2 ** n).concat(60_000, 60_000, 60_000),
    ],
    ["starts anew after a stable minute", [0, 1, 60_401], [200, 400, 200]],
    ["does not before", [0, 1, 60_400], [200, 400, 800]],
    [
      "does not take the wait itself for stable",
      [...Array(9).fill(0), 60_000],
      [...[...Array(9).keys()].map((n) => 200 * 2 ** n), 60_000],
    ],
  ])("%s", (_, timesMs, expected) => {
    expect(delays(timesMs)).toEqual(expected);
  });

  test("for the engine ends at five seconds", () => {
    expect(delays([0, 1e6, 2e6, 3e6, 4e6, 5e6], engineBackOff).at(-1)).toBe(5000);
  });
});
