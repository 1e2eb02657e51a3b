import { ContainerDelivery } from "../activate/containers.ts";
import type { Delivery } from "../activate/delivery.ts";
import type { ContainerView, StatusView } from "../admin/protocol.ts";
import { prepareCacheDirectory } from "../cache/directory.ts";
import type { ContainerConfig } from "../config/container.ts";
import { openRuntime } from "../container/engine/open.ts";
import {
  type AppPlan,
  appName,
  checkEngine,
  checkFiles,
  planDeployment,
  setupFingerprint,
} from "../container/plan/plan.ts";
import { ReplicaSet } from "../container/replicas/replica-set.ts";
import type { ReplicaStatus } from "../container/replicas/status.ts";
import type { ContainerRuntime } from "../container/runtime.ts";
import { readCache } from "../drivers/caches.ts";
import { readImageRegistry } from "../drivers/registries.ts";
import { records } from "../events.ts";
import type { HealthPolicy } from "../health/policy.ts";
import { proxyHeader } from "../proxy/proxy-protocol.ts";
import { TcpProxy } from "../proxy/tcp-proxy.ts";
import type { Registry } from "../registry/registry.ts";
import { type Call, withDeadline } from "../util/async.ts";
import { openAdmin } from "./admin.ts";
import { openAnswers, shareAnswers } from "./caches.ts";
import type { AgentParts } from "./parts.ts";
import { containerReadings, proxyReadings } from "./readings.ts";
import { proxyObserver } from "./telemetry.ts";

/** What `container` watches, and how it is put into use. The proxy listens from now on; it has no backend yet. */
export async function openContainers(
  config: ContainerConfig,
  parts: AgentParts,
  c: Call,
): Promise<{ registry: Registry; delivery: Delivery }> {
  const { open, layout, log, clock, env, currentTag } = parts;
  const upstream = await readImageRegistry(config.registry, config, env);
  const { registry, images } = await upstream(parts.drivers);
  open.use(registry);
  const cacheOptions = await readCache(config.cache, env);
  const cacheDir = prepareCacheDirectory(cacheOptions.directory ?? config.cacheDir, layout.root, log);
  const answers = await openAnswers(cacheOptions, cacheDir, parts);
  const app = appName(config.name ?? config.runOptions.name, images.repository);
  const runtime = open.use(await openRuntime({ kind: config.runtime, env }, { log, clock }));
  const plan = planOf(config, app, parts);
  await checkPlan(plan, runtime, c);
  const proxy = TcpProxy.open({
    listen: config.ports.map(({ host, proxyPort }) => ({ host, port: proxyPort })),
    log,
    clock,
    timing: { idleMs: config.proxyIdleTimeoutMs },
    maxConnections: config.maxConnections,
    proxyProtocol: config.proxyProtocol,
    ...observed(config, parts),
  });
  open.use(proxy);
  // Nobody new comes in from the moment the end is asked for, whatever still has to be brought to one.
  c.signal.addEventListener("abort", () => proxy.stopListening(), { once: true });
  const replicas = ReplicaSet.open(replicaOptions(config, app, layout.root), {
    runtime,
    rotation: proxy,
    clock,
    log,
    onReplicaLost: ({ kind: how, version: tag, ...loss }) =>
      parts.announcer.tell({ kind: "replica-lost", how, tag, ...loss }),
    onRenewalFailed: ({ message, hint = null }) => {
      const tag = currentTag();
      parts.announcer.tell({ kind: "failed", tag, message, hint, servingTag: tag }, { once: true });
    },
  });
  const delivery = new ContainerDelivery({
    app,
    root: layout.root,
    images,
    runtime,
    replicas,
    plan: (deployed) => planDeployment(plan, deployed),
    checkEngine: (info) => checkEngine(plan, info),
    setup: setupFingerprint(plan, healthOf(config)),
    platform: config.runOptions.platform,
    keep: config.keep,
    cacheDir,
    clock,
    log,
  });
  const shown = { proxy, replicas, delivery };
  measure(config, app, shown, parts);
  openAdmin(config.adminPort, adminSource(config, app, shown, parts), parts);
  // Last of all: what fails before must leave the containers of an earlier agent alone.
  open.defer(() => shutDown(proxy, replicas, parts));
  open.use(delivery);
  return { registry: shareAnswers(registry, config, cacheOptions, answers, parts), delivery };
}

interface Shown {
  readonly proxy: TcpProxy;
  readonly replicas: ReplicaSet;
  readonly delivery: ContainerDelivery;
}

function observed({ ports }: ContainerConfig, { telemetry }: AgentParts) {
  if (telemetry.page === null) return {};
  const listening = ports.map(({ proxyPort }) => proxyPort);
  return { observer: proxyObserver(telemetry.metrics, listening) };
}

function measure(config: ContainerConfig, app: string, { proxy, replicas }: Shown, parts: AgentParts): void {
  const { replicas: desired } = config;
  parts.telemetry.metrics.observe(() => [
    ...proxyReadings(proxy.stats()),
    ...containerReadings({ app, desired, replicas: replicas.replicas(), tally: replicas.tally }),
  ]);
}

function adminSource(config: ContainerConfig, app: string, shown: Shown, parts: AgentParts) {
  const { proxy, replicas, delivery } = shown;
  return {
    containers: () => replicas.replicas().map(viewOf),
    status: (): StatusView => ({
      name: app,
      command: "container",
      currentVersion: parts.currentTag(),
      proxyBackends: proxy.members.length * config.ports.length,
      isRunning: replicas.status().kind === "serving",
      root: parts.layout.root,
      pid: process.pid,
      desiredReplicas: config.replicas,
      trouble: delivery.trouble,
    }),
  };
}

/** Before anything is touched, as far as it can be told: the engine may be away. */
async function checkPlan(plan: AppPlan, runtime: ContainerRuntime, c: Call): Promise<void> {
  checkFiles(plan);
  const info = await runtime.info(withDeadline(c, 5000)).catch(() => null);
  c.signal.throwIfAborted();
  if (info !== null) checkEngine(plan, info);
}

/** Nobody new comes in while the containers end; connections they have may end with them. */
async function shutDown(proxy: TcpProxy, replicas: ReplicaSet, parts: AgentParts): Promise<void> {
  const c: Call = { signal: parts.hurry };
  parts.log.info(records.shuttingDown);
  proxy.stopListening();
  await replicas.close({ drain: false }, c);
  await proxy.close(0, c);
}

function replicaOptions(config: ContainerConfig, app: string, root: string) {
  const { replicas, drainMs, leaveRunning, runOptions, stopTimeoutMs } = config;
  const health = healthOf(config);
  const stopGraceMs = runOptions.stopTimeoutMs ?? stopTimeoutMs;
  return { app, root, replicas, health, drainMs, stopGraceMs, leaveRunning };
}

/** The app may insist on the PROXY protocol: what dewy says itself begins with its word for that. */
function healthOf({ health, proxyProtocol }: ContainerConfig): HealthPolicy {
  return {
    ...health,
    greeting: proxyProtocol === null ? "" : new TextDecoder().decode(proxyHeader(proxyProtocol, null)),
  };
}

/** The agent's own user and group. */
function planOf(config: ContainerConfig, app: string, { layout, env }: AgentParts): AppPlan {
  const agent = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const { runOptions: options, cmd: command, ports } = config;
  return { app, options, command, ports, root: layout.root, agent, own: env };
}

function viewOf(status: ReplicaStatus): ContainerView {
  const address = status.addresses[0]?.address ?? null;
  // Made from the values of variables, too: nobody is to try them out on it.
  const { "dewy.options": _, ...labels } = status.labels;
  return { ...status, labels, address: address === null ? null : `${address.host}:${address.port}` };
}
