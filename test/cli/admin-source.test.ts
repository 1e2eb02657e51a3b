import { describe, expect, test } from "bun:test";
import { adminSource } from "../../src/cli/run/admin.ts";
import { layoutOf } from "../../src/cli/run/layout.ts";
import { replicasView } from "../../src/cli/run/rollout.ts";
import type { ReplicaSetStatus, ReplicaStatus } from "../../src/replicas/status.ts";

const replica: ReplicaStatus = {
  id: "1",
  name: "app-1-0",
  image: "app:v1",
  status: "running",
  replica: 0,
  version: "v1.0.0",
  state: "serving",
  seen: "200",
  inRotation: true,
  connections: 3,
  addresses: [
    { proxyPort: 80, address: { host: "127.0.0.1", port: 49_152 } },
    { proxyPort: 443, address: { host: "127.0.0.1", port: 49_153 } },
  ],
  restarts: 0,
  health: "none",
  startedAt: null,
  deployedAt: new Date("2026-11-21T12:00:00Z"),
  labels: { "dewy.app": "app", "dewy.options": "plantedOptions" },
};

const serving: ReplicaSetStatus = {
  ...{ kind: "serving", release: "20261121T120000Z", version: "v1.0.0", pid: null },
  ...{ inRotation: 2, replicas: 2 },
};

function rollout(status: ReplicaSetStatus) {
  const replicas = { replicas: () => [replica, { ...replica, addresses: [] }], status: () => status };
  return { proxy: { members: [1, 2] }, replicas };
}

describe("what the admin API shows of what is behind a proxy", () => {
  test("each replica counts once for each port, and its options stay here", () => {
    const shown = replicasView(rollout(serving), 2, null);
    expect(shown).toMatchObject({ proxyBackends: 4, isRunning: true, trouble: null });
    expect(shown.containers.map(({ address, labels }) => ({ address, labels }))).toEqual([
      { address: "127.0.0.1:49152", labels: { "dewy.app": "app" } },
      { address: null, labels: { "dewy.app": "app" } },
    ]);
  });

  test.each<[ReplicaSetStatus]>([
    [{ kind: "idle" }],
    [{ kind: "starting", pid: null }],
    [{ kind: "down", reason: "x" }],
  ])("%j does not run", (status) => {
    expect(replicasView(rollout(status), 1, "the engine is away")).toMatchObject({
      isRunning: false,
      trouble: "the engine is away",
    });
  });
});

test("it is looked at anew each time, and says whose agent it is", () => {
  let [running, tag] = [false, "v1.0.0"];
  const app = { name: "app", command: "container", desiredReplicas: 2 } as const;
  const look = () => ({ containers: [], proxyBackends: 0, isRunning: running, trouble: null });
  const source = adminSource(app, look, { layout: layoutOf("/srv/app"), currentTag: () => tag });
  const fixed = { ...app, root: "/srv/app", pid: process.pid, proxyBackends: 0, trouble: null };
  expect(source.status()).toEqual({ ...fixed, isRunning: false, currentVersion: "v1.0.0" });
  [running, tag] = [true, "v1.1.0"];
  expect(source.status()).toEqual({ ...fixed, isRunning: true, currentVersion: "v1.1.0" });
});
