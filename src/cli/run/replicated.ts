import { basename } from "node:path";
import type { Activator } from "../../activate/activator.ts";
import type { ReleaseDirectory } from "../../activate/release-dir.ts";
import { replicatedActivator } from "../../activate/replicated.ts";
import type { StatusView } from "../../admin/protocol.ts";
import type { ServerConfig } from "../../config/archives.ts";
import type { ReplicatedConfig } from "../../config/replicated.ts";
import { ProcessEngine } from "../../process-engine/engine.ts";
import { type ProcessPlan, planProcesses } from "../../process-engine/plan.ts";
import { ProcessRecord } from "../../process-engine/record.ts";
import type { TcpProxy } from "../../proxy/tcp-proxy.ts";
import { labelsOfApp, nameFromRepository } from "../../replicas/labels.ts";
import { ReplicaSet } from "../../replicas/replica-set.ts";
import type { ReplicaLoss } from "../../replicas/upkeep.ts";
import { stopLeftovers } from "../../supervisor/leftovers.ts";
import { RecordFile } from "../../supervisor/record.ts";
import type { Call } from "../../util/async.ts";
import { openAdmin } from "./admin.ts";
import type { AgentParts } from "./parts.ts";
import { healthPolicy, measureRollout, openProxy, shutDown, viewOf } from "./rollout.ts";

/** What `server --proxy` runs, and what the admin API shows of it. */
export interface Replicated {
  readonly activator: Activator;
  readonly showAdmin: () => void;
}

/** The proxy listens from now on, and holds who comes until the recorded release serves. */
export async function openReplicated(
  config: ServerConfig,
  replicated: ReplicatedConfig,
  releases: ReleaseDirectory,
  parts: AgentParts,
  c: Call,
): Promise<Replicated> {
  const { open, layout, log, clock } = parts;
  const { root } = layout;
  const app = appOf(root);
  const { ports, health, replicas: desired, drainMs, proxyProtocol, maxConnections } = replicated;
  const { stopTimeoutMs, minUptimeMs } = config;
  await stopLeftovers({ root, stopTimeoutMs }, { record: new RecordFile(layout.supervisor), clock, log }, c);
  const listen = ports.map(({ host, port }) => ({ host, port }));
  const idleTimeoutMs = replicated.proxyIdleTimeoutMs;
  const proxy = openProxy({ listen, idleTimeoutMs, maxConnections, proxyProtocol }, parts, c);
  const engine = openEngine(
    config,
    ports.map(({ port }) => port),
    parts,
  );
  const policy = healthPolicy(health, proxyProtocol);
  const replicas = ReplicaSet.open(
    {
      app,
      root,
      replicas: desired,
      minUptimeMs,
      health: policy,
      drainMs,
      stopGraceMs: stopTimeoutMs,
      leaveRunning: false,
    },
    {
      runtime: engine,
      rotation: proxy,
      clock,
      log,
      onReplicaLost: (loss) => tellLoss(loss, parts),
      onRenewalFailed: ({ message, hint = null }) => {
        const tag = parts.currentTag();
        parts.announcer.tell({ kind: "failed", tag, message, hint, servingTag: tag }, { once: true });
      },
    },
  );
  const plan: ProcessPlan = {
    app,
    root,
    command: config.appCommand,
    ports,
    envDir: config.envDir,
    user: parts.user,
  };
  measureRollout({ app, desired }, { proxy, replicas }, parts);
  return {
    activator: replicatedActivator({
      releases,
      replicas,
      plan: (deployed) => planProcesses(plan, deployed, engine),
      recordedTag: parts.currentTag,
      log,
    }),
    showAdmin() {
      openAdmin(config.adminPort, adminSource(desired, { proxy, replicas }, parts), parts);
      // Last of all: what fails before must leave the processes of an earlier agent alone.
      open.defer(() => shutDown({ proxy, replicas }, parts));
    },
  };
}

/**
 * Ends, in the background, what an agent with --proxy has left running in this directory: nobody leads to it any more.
 */
export function stopReplicas(config: ServerConfig, parts: AgentParts): void {
  const engine = openEngine(config, [], parts);
  const over = new AbortController();
  const c: Call = { signal: AbortSignal.any([over.signal, parts.hurry]) };
  const ended = stopAll(engine, config, parts, c);
  parts.open.defer(async () => {
    over.abort();
    await ended;
  });
}

async function stopAll(
  engine: ProcessEngine,
  config: ServerConfig,
  parts: AgentParts,
  c: Call,
): Promise<void> {
  const left = await engine.list(labelsOfApp(appOf(parts.layout.root)));
  const stops = left.map(async ({ id, name, pid }) => {
    parts.log.warn("Stopping a process left by an agent with --proxy", { process: name, pid });
    await engine.stop(id, config.stopTimeoutMs, c);
    await engine.remove(id, c);
  });
  await Promise.all(stops);
}

function openEngine(config: ServerConfig, avoidPorts: readonly number[], parts: AgentParts): ProcessEngine {
  const { env, layout, user, clock, log } = parts;
  const { root } = layout;
  return ProcessEngine.open(
    { app: appOf(root), root, env, envDir: config.envDir, user, avoidPorts },
    { record: new ProcessRecord(layout.replicas), clock, log },
  );
}

function appOf(root: string): string {
  return nameFromRepository(basename(root));
}

/** Where the release before comes back because of it, people are told that alone. */
function tellLoss(
  { kind: how, version: tag, image: release, name: container, reason, delayMs }: ReplicaLoss,
  parts: AgentParts,
): void {
  const kind = how === "sick" ? "sick" : "crashed";
  if (parts.appFailed({ release, kind, reason })) return;
  parts.announcer.tell({ kind: "replica-lost", unit: "process", how, tag, container, reason, delayMs });
}

function adminSource(
  desired: number,
  { proxy, replicas }: { readonly proxy: TcpProxy; readonly replicas: ReplicaSet },
  parts: AgentParts,
) {
  const { layout, currentTag } = parts;
  return {
    containers: () => replicas.replicas().map(viewOf),
    status: (): StatusView => ({
      name: basename(layout.root),
      command: "server",
      currentVersion: currentTag(),
      proxyBackends: proxy.members.length,
      isRunning: replicas.status().kind === "serving",
      root: layout.root,
      pid: process.pid,
      desiredReplicas: desired,
      trouble: replicas.trouble,
    }),
  };
}
