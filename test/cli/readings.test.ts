import { describe, expect, test } from "bun:test";
import { emptyState, type State } from "../../src/agent/state.ts";
import {
  containerReadings,
  type Offered,
  proxyReadings,
  releaseReadings,
  supervisorReadings,
} from "../../src/cli/measure/readings.ts";
import { noErrors, type PortStats } from "../../src/proxy/observer.ts";
import type { ReplicaStatus } from "../../src/replicas/status.ts";
import type { Generation } from "../../src/supervisor/generation.ts";
import type { SupervisorState } from "../../src/supervisor/supervisor.ts";
import type { Reading } from "../../src/telemetry/metrics.ts";

/** `name{label="value"} 1`, sorted, without the prefix. */
function lines(readings: readonly Reading[]): string[] {
  return readings
    .map(({ name, labels, value }) => {
      const shown = Object.entries(labels).map(([label, of]) => `${label}=${of}`);
      return `${name.replace(/^dewy\./, "")}{${shown.join(",")}} ${value}`;
    })
    .sort();
}

const digest = `sha256:${"ab".repeat(32)}` as const;
const state: State = emptyState;
const placed = { tag: "v1.2.3", digest, artifact: "a.tar.gz", release: "r", since: "" };
const bad = { tag: "v2", digest: null, fingerprint: "", reason: "", at: "" };

describe("of the release", () => {
  test.each<[string, Partial<State>, Offered, string[]]>([
    ["before the first deploy", {}, null, ["quarantined{} 0"]],
    [
      "with a release",
      { current: placed },
      "v1.2.3",
      ["quarantined{} 0", `release.info{tag=v1.2.3,digest=${digest}} 1`],
    ],
    [
      "without a digest",
      { current: { ...placed, digest: null } },
      "v1.2.3",
      ["quarantined{} 0", "release.info{tag=v1.2.3,digest=} 1"],
    ],
    ["that was set aside", { quarantine: [bad] }, "v2", ["quarantined{} 1"]],
    ["that came after one that was set aside", { quarantine: [bad] }, "v3", ["quarantined{} 0"]],
    ["that is no more, like the one that was set aside", { quarantine: [bad] }, null, ["quarantined{} 0"]],
    ["that nobody has told of since the start", { quarantine: [bad] }, undefined, ["quarantined{} 1"]],
  ])("%s", (_, changes, offered, expected) => {
    expect(lines(releaseReadings({ ...state, ...changes }, offered))).toEqual(expected);
  });
});

describe("of the supervisor", () => {
  const current = { pid: 1 } as Generation;

  test.each<[SupervisorState]>([
    [{ kind: "stopped" }],
    [{ kind: "starting", next: current }],
    [{ kind: "running", current, release: "r" }],
    [{ kind: "reloading", current, next: current }],
    [{ kind: "backoff", release: "r", reason: "it died" }],
  ])("%j is the one state that is 1", (supervisorState) => {
    const restarts = { deploy: 4, signal: 5, crash: 6 };
    const readings = lines(
      supervisorReadings({ state: supervisorState, restarts, checks: { checks: 5, failures: 2 } }),
    );
    expect(readings).toContain("healthchecks.failures.total{} 2");
    const states = readings.filter((line) => line.startsWith("supervisor.state"));
    expect(states).toHaveLength(5);
    expect(states.filter((line) => line.endsWith(" 1"))).toEqual([
      `supervisor.state{state=${supervisorState.kind}} 1`,
    ]);
    expect(readings.filter((line) => line.startsWith("server.restarts"))).toEqual([
      "server.restarts.total{reason=crash} 6",
      "server.restarts.total{reason=deploy} 4",
      "server.restarts.total{reason=signal} 5",
    ]);
  });

  test("without a health check has none to count", () => {
    const restarts = { deploy: 0, signal: 0, crash: 0 };
    const readings = lines(supervisorReadings({ state: { kind: "stopped" }, restarts, checks: null }));
    expect(readings.filter((line) => line.startsWith("healthchecks"))).toEqual([]);
  });
});

test("of the proxy: each port by itself; backends in rotation; failures, not endings", () => {
  const backend = { address: "", connectionsTotal: 0, connectionsActive: 0, failures: 0 };
  const port: PortStats = {
    port: 8000,
    connectionsTotal: 9,
    connectionsActive: 2,
    held: 1,
    bytesFromClients: 100,
    bytesFromBackends: 11,
    errors: {
      ...noErrors(),
      "connect-refused": 1,
      "connect-timeout": 2,
      "connect-failed": 4,
      "no-backend": 8,
      unserved: 16,
      cut: 32,
      reset: 64,
    },
    backends: [
      { ...backend, replica: "a", inRotation: true },
      { ...backend, replica: "b", inRotation: false },
    ],
  };
  const other = { ...port, port: 8001, errors: noErrors(), backends: [] };
  const stats = { connections: 2, maxConnections: 10, accepting: true, ports: [port, other] };
  const readings = lines(proxyReadings(stats));
  expect(readings.filter((line) => line.includes("8000"))).toEqual([
    "proxy.backends{proxy_port=8000} 1",
    "proxy.bytes.transferred{proxy_port=8000} 111",
    "proxy.connections.active{proxy_port=8000} 2",
    "proxy.connections.total{proxy_port=8000} 9",
    "proxy.errors.total{proxy_port=8000} 15",
  ]);
  expect(readings).toContain("proxy.errors.total{proxy_port=8001} 0");
  expect(readings).toContain("proxy.backends{proxy_port=8001} 0");
});

describe("of the containers", () => {
  const replica: ReplicaStatus = {
    id: "c1",
    name: "shop-1-0",
    image: "host/shop:v1",
    status: "running",
    replica: 0,
    version: "v1",
    state: "serving",
    seen: "",
    inRotation: true,
    connections: 0,
    addresses: [],
    restarts: 2,
    health: "none",
    startedAt: new Date("2026-11-21T09:00:00.900Z"),
    deployedAt: new Date(0),
    labels: {},
  };
  const tally = { checks: { total: 7, failures: 1 }, endings: [] };
  const app = { app: "shop", desired: 3, replicas: [replica], tally };
  const own = "app=shop,container=shop-1-0,replica=0";

  test("all that is known of one that runs", () => {
    expect(lines(containerReadings(app))).toEqual([
      "container.desired_replicas{app=shop} 3",
      `container.info{${own},image=host/shop:v1,version=v1} 1`,
      "container.replicas{app=shop} 1",
      `container.restarts{${own}} 2`,
      `container.started.timestamp{${own}} 1795251600`,
      `container.status{${own},state=created} 0`,
      `container.status{${own},state=dead} 0`,
      `container.status{${own},state=exited} 0`,
      `container.status{${own},state=paused} 0`,
      `container.status{${own},state=restarting} 0`,
      `container.status{${own},state=running} 1`,
      "healthchecks.failures.total{} 1",
      "healthchecks.total{} 7",
    ]);
  });

  test("one that does not run does not count, and has no start while there was none", () => {
    const created = { ...replica, status: "created", startedAt: null } as const;
    const readings = lines(containerReadings({ ...app, replicas: [created] }));
    expect(readings).toContain("container.replicas{app=shop} 0");
    expect(readings).toContain(`container.status{${own},state=created} 1`);
    expect(readings.filter((line) => line.startsWith("container.started"))).toEqual([]);
  });

  test("how the last one ended", () => {
    const ending = { name: "shop-1-1", replica: 1, exitCode: 137, oomKilled: true };
    const readings = lines(containerReadings({ ...app, tally: { ...tally, endings: [ending] } }));
    expect(readings).toContain(
      "container.last_terminated.exit_code{app=shop,container=shop-1-1,replica=1} 137",
    );
    expect(readings).toContain("container.oom_killed{app=shop,container=shop-1-1,replica=1} 1");
  });

  test("none while there are none", () => {
    expect(lines(containerReadings({ ...app, replicas: [] }))).toEqual([
      "container.desired_replicas{app=shop} 3",
      "container.replicas{app=shop} 0",
      "healthchecks.failures.total{} 1",
      "healthchecks.total{} 7",
    ]);
  });
});
