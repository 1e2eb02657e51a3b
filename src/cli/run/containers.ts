import { ContainerDelivery } from "../../activate/containers.ts";
import type { Delivery } from "../../activate/delivery.ts";
import { prepareCacheDirectory } from "../../cache/directory.ts";
import type { ContainerConfig } from "../../config/container.ts";
import { openRuntime } from "../../container/engine/open.ts";
import {
  type AppPlan,
  appName,
  checkEngine,
  checkFiles,
  planDeployment,
  setupFingerprint,
} from "../../container/plan/plan.ts";
import type { ContainerRuntime } from "../../container/runtime.ts";
import { readCache } from "../../drivers/caches.ts";
import { readImageRegistry } from "../../drivers/registries.ts";
import type { Registry } from "../../registry/registry.ts";
import type { TagOrder } from "../../release/version.ts";
import { ReplicaSet } from "../../replicas/replica-set.ts";
import { type Call, withDeadline } from "../../util/async.ts";
import { adminSource, openAdmin } from "./admin.ts";
import { openAnswers, shareAnswers } from "./caches.ts";
import { stopLeftProcesses } from "./left-processes.ts";
import type { AgentParts } from "./parts.ts";
import {
  healthPolicy,
  measureRollout,
  openProxy,
  replicasView,
  shutDown,
  tellRenewalFailed,
} from "./rollout.ts";

/** What `container` watches, and how it is put into use. The proxy listens from now on; it has no backend yet. */
export async function openContainers(
  config: ContainerConfig,
  parts: AgentParts,
  c: Call,
): Promise<{ registry: Registry; delivery: Delivery; order: TagOrder }> {
  const { open, layout, log, clock } = parts;
  const { env } = parts.drivers;
  const upstream = await readImageRegistry(config.registry, config, env);
  const { registry, images, order } = await upstream(parts.drivers);
  open.use(registry);
  const cacheOptions = await readCache(config.cache, env);
  const cacheDir = prepareCacheDirectory(cacheOptions.directory ?? config.cacheDir, layout.root, log);
  const answers = await openAnswers(cacheOptions, cacheDir, parts);
  const app = appName(config.name ?? config.runOptions.name, images.repository);
  const runtime = open.use(await openRuntime({ kind: config.runtime, env }, { log, clock }));
  const plan = planOf(config, app, parts);
  await checkPlan(plan, runtime, c);
  const { proxyIdleTimeoutMs: idleTimeoutMs, maxConnections, proxyProtocol } = config;
  const listen = config.ports.map(({ host, proxyPort }) => ({ host, port: proxyPort }));
  const proxy = openProxy({ listen, idleTimeoutMs, maxConnections, proxyProtocol }, parts, c);
  const replicas = ReplicaSet.open(replicaOptions(config, app, layout.root), {
    runtime,
    rotation: proxy,
    clock,
    log,
    onReplicaLost: ({ kind: how, version: tag, name: container, reason, delayMs }) =>
      parts.announcer.tell({ kind: "replica-lost", how, tag, container, reason, delayMs }),
    onRenewalFailed: tellRenewalFailed(parts),
  });
  const delivery = new ContainerDelivery({
    app,
    root: layout.root,
    images,
    runtime,
    replicas,
    plan: (deployed) => planDeployment(plan, deployed, runtime),
    checkEngine: (info) => checkEngine(plan, info),
    setup: setupFingerprint(plan, healthPolicy(config.health, config.proxyProtocol)),
    platform: config.runOptions.platform,
    cacheDir,
    clock,
    log,
  });
  const rollout = { proxy, replicas };
  stopLeftProcesses(config.stopTimeoutMs, parts);
  measureRollout({ app, desired: config.replicas }, rollout, parts);
  const described = { name: app, command: "container", desiredReplicas: config.replicas } as const;
  const look = () => replicasView(rollout, listen.length, delivery.trouble);
  openAdmin(config.adminPort, adminSource(described, look, parts), parts);
  // Last of all: what fails before must leave the containers of an earlier agent alone.
  open.defer(() => shutDown(rollout, parts));
  open.use(delivery);
  return { registry: shareAnswers(registry, config, cacheOptions, answers, parts), delivery, order };
}

/** Before anything is touched, as far as it can be told: the engine may be away. */
async function checkPlan(plan: AppPlan, runtime: ContainerRuntime, c: Call): Promise<void> {
  checkFiles(plan);
  const info = await runtime.info(withDeadline(c, 5000)).catch(() => null);
  c.signal.throwIfAborted();
  if (info !== null) checkEngine(plan, info);
}

function replicaOptions(config: ContainerConfig, app: string, root: string) {
  const { replicas, drainMs, leaveRunning, runOptions, stopTimeoutMs } = config;
  const health = healthPolicy(config.health, config.proxyProtocol);
  const stopGraceMs = runOptions.stopTimeoutMs ?? stopTimeoutMs;
  return { app, root, replicas, health, drainMs, stopGraceMs, leaveRunning };
}

/** The agent's own user and group. */
function planOf(config: ContainerConfig, app: string, { layout, env }: AgentParts): AppPlan {
  const agent = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const { runOptions: options, cmd: command, ports } = config;
  return { app, options, command, ports, root: layout.root, agent, own: env };
}
