import { describe, expect, test } from "bun:test";
import type { Sample } from "../support/exposition.ts";
import { readAlerts } from "../support/packaging.ts";
import { evaluate, type Scrape } from "../support/promql-eval.ts";

const target = { job: "dewy", instance: "web1:17539" };
const container = { app: "shop", container: "shop-1-0", replica: "0" };
const now = 1_800_000_000;
const scrapeSeconds = 15;

/** `[metric, labels, value]`; a function of the seconds until the last scrape for what changes. */
type Series = readonly [string, Readonly<Record<string, string>>, number | ((before: number) => number)];

/** Two hours of a target that says this. */
function scrapesOf(series: readonly Series[]): readonly Scrape[] {
  return Array.from({ length: 480 }, (_, index) => {
    const before = (479 - index) * scrapeSeconds;
    const samples = series.map(([name, labels, value]): Sample => {
      const at = typeof value === "number" ? value : value(before);
      return { name, labels: { ...target, ...labels }, value: at };
    });
    return { atSeconds: now - before, samples };
  });
}

const healthy: readonly Series[] = [
  ["up", {}, 1],
  ["dewy_poll_total", { result: "success" }, (before) => 10_000 - before],
  ["dewy_poll_total", { result: "failure" }, 3],
  ["dewy_poll_consecutive_failures", {}, 0],
  ["dewy_poll_interval", {}, 10],
  ["dewy_poll_last_success_timestamp", {}, (before) => now - before - 5],
  ["dewy_deployment_errors_total", { command: "server" }, 2],
  ["dewy_quarantined", {}, 0],
  ["dewy_release_info", { tag: "v1", digest: "" }, 1],
  ["dewy_supervisor_state", { state: "running" }, 1],
  ["dewy_supervisor_state", { state: "reloading" }, 0],
  ["dewy_supervisor_state", { state: "backoff" }, 0],
  ["dewy_server_restarts_total", { reason: "crash" }, 1],
  ["dewy_server_restarts_total", { reason: "deploy" }, (before) => 1000 - before],
  ["dewy_container_replicas", { app: "shop" }, 2],
  ["dewy_container_desired_replicas", { app: "shop" }, 2],
  ["dewy_healthchecks_total", {}, (before) => 10_000 - before],
  ["dewy_healthchecks_failures_total", {}, 7],
  ["dewy_container_restarts", container, 0],
  ["dewy_container_oom_killed", container, 0],
  ["dewy_proxy_errors_total", { proxy_port: "80" }, 4],
  ["dewy_proxy_backends", { proxy_port: "80" }, 2],
];

function changed(...changes: readonly Series[]): readonly Series[] {
  const keyOf = ([name, labels]: Series) => `${name}${JSON.stringify(labels)}`;
  const keys = new Set(changes.map(keyOf));
  return [...healthy.filter((series) => !keys.has(keyOf(series))), ...changes];
}

function without(...metrics: readonly string[]): readonly Series[] {
  return healthy.filter(([metric]) => !metrics.includes(metric));
}

async function alertsOf(series: readonly Series[]): Promise<string[]> {
  const scrapes = scrapesOf(series);
  const alerts = await readAlerts();
  return alerts.filter(({ expr }) => evaluate(expr, scrapes).length > 0).map(({ alert }) => alert);
}

describe("alerts", () => {
  test("have nothing to say of a host that is well", async () => {
    expect(await alertsOf(healthy)).toEqual([]);
  });

  const broken: readonly (readonly [string, readonly Series[]])[] = [
    ["DewyAgentGone", changed(["up", {}, 0])],
    ["DewyPollsFailing", changed(["dewy_poll_consecutive_failures", {}, (before) => 400 - before / 20])],
    ["DewyLastPollTooOld", changed(["dewy_poll_last_success_timestamp", {}, now - 3700])],
    ["DewyDeploysFailing", changed(["dewy_deployment_errors_total", { command: "server" }, lately(1)])],
    ["DewyReleaseQuarantined", changed(["dewy_quarantined", {}, 1])],
    [
      "DewySupervisorNotRunning",
      changed(
        ["dewy_supervisor_state", { state: "running" }, 0],
        ["dewy_supervisor_state", { state: "backoff" }, 1],
      ),
    ],
    ["DewyRestartsLooping", changed(["dewy_server_restarts_total", { reason: "crash" }, lately(5)])],
    ["DewyReplicasBelowDesired", changed(["dewy_container_replicas", { app: "shop" }, 1])],
    [
      "DewyContainersUnhealthy",
      changed(["dewy_healthchecks_failures_total", {}, (before) => 10_000 - before * 0.6]),
    ],
    [
      "DewyContainerRestarting",
      changed(["dewy_container_restarts", container, (before) => 99 - before / 15]),
    ],
    ["DewyContainerOutOfMemory", changed(["dewy_container_oom_killed", container, 1])],
    ["DewyProxyErrors", changed(["dewy_proxy_errors_total", { proxy_port: "80" }, lately(11)])],
    ["DewyNoBackends", changed(["dewy_proxy_backends", { proxy_port: "80" }, 0])],
  ];

  test.each(broken)("%s says what is broken, and no other", async (name, series) => {
    expect(await alertsOf(series)).toEqual([name]);
  });

  test("leave none out here", async () => {
    expect(broken.map(([name]) => name)).toEqual((await readAlerts()).map(({ alert }) => alert));
  });

  test("have nothing to say of a host that has nothing to run yet", async () => {
    const fresh = changed(
      ["dewy_supervisor_state", { state: "running" }, 0],
      ["dewy_supervisor_state", { state: "stopped" }, 1],
      ["dewy_container_replicas", { app: "shop" }, 0],
      ["dewy_proxy_backends", { proxy_port: "80" }, 0],
    );
    expect(await alertsOf(fresh.filter(([metric]) => metric !== "dewy_release_info"))).toEqual([]);
  });

  test("wait for three questions of an agent that asks every two hours", async () => {
    const rarely = (ageSeconds: number) =>
      changed(["dewy_poll_interval", {}, 7200], ["dewy_poll_last_success_timestamp", {}, now - ageSeconds]);
    expect(await alertsOf(rarely(7300))).toEqual([]);
    expect(await alertsOf(rarely(3 * 7200 + 1))).toEqual(["DewyLastPollTooOld"]);
  });

  test("go on of an agent that asks rarely and fails each time", async () => {
    const failing = changed(["dewy_poll_interval", {}, 7200], ["dewy_poll_consecutive_failures", {}, 2]);
    expect(await alertsOf(failing)).toContain("DewyPollsFailing");
    const one = changed(["dewy_poll_consecutive_failures", {}, 1]);
    expect(await alertsOf(one)).toEqual([]);
  });

  test("of what an agent does not have say nothing", async () => {
    const containers = ["dewy_container_replicas", "dewy_container_desired_replicas", "dewy_proxy_backends"];
    expect(await alertsOf(without(...containers, "dewy_supervisor_state"))).toEqual([]);
  });
});

/** It grew by so much in the last four minutes. */
function lately(by: number): (before: number) => number {
  return (before) => 100 + (before < 240 ? by : 0);
}
