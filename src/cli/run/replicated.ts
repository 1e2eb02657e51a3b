import { basename } from "node:path";
import type { Activator } from "../../activate/activator.ts";
import type { ReleaseDirectory } from "../../activate/release-dir.ts";
import { replicatedActivator } from "../../activate/replicated.ts";
import type { ServerConfig } from "../../config/archives.ts";
import type { ReplicatedConfig } from "../../config/replicated.ts";
import { type ProcessPlan, planProcesses } from "../../process-engine/plan.ts";
import type { ProxyListen } from "../../proxy/options.ts";
import { ReplicaSet } from "../../replicas/replica-set.ts";
import type { ReplicaLoss } from "../../replicas/upkeep.ts";
import { stopLeftovers } from "../../supervisor/leftovers.ts";
import { RecordFile } from "../../supervisor/record.ts";
import type { Call } from "../../util/async.ts";
import { adminSource, openAdmin } from "./admin.ts";
import { tellLoss } from "./deaths.ts";
import { appOf, openEngine } from "./left-processes.ts";
import type { AgentParts } from "./parts.ts";
import {
  healthPolicy,
  measureRollout,
  openProxy,
  replicasView,
  shutDown,
  tellRenewalFailed,
} from "./rollout.ts";

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
  const listen = await listenersOf(config, replicated, parts, c);
  const idleTimeoutMs = replicated.proxyIdleTimeoutMs;
  const proxy = openProxy({ listen, idleTimeoutMs, maxConnections, proxyProtocol }, parts, c);
  const avoidPorts = ports.map(({ port }) => port);
  const engine = openEngine({ envDir: config.envDir, avoidPorts, healthCommand: health.command }, parts);
  c.signal.addEventListener("abort", () => engine.beginStop(), { once: true });
  const onReplicaLost = (loss: ReplicaLoss) => tellLoss(loss, parts, c);
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
      onReplicaLost,
      onRenewalFailed: tellRenewalFailed(parts),
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
  const rollout = { proxy, replicas };
  measureRollout({ app, desired }, rollout, parts);
  return {
    activator: replicatedActivator({
      releases,
      replicas,
      plan: (deployed) => planProcesses(plan, deployed, engine),
      diedUnwatched: (release) => engine.diedUnwatched(release),
      onReplicaLost,
      recordedTag: parts.currentTag,
      log,
    }),
    showAdmin() {
      const described = { name: basename(root), command: "server", desiredReplicas: desired } as const;
      const look = () => replicasView(rollout, listen.length, replicas.trouble);
      openAdmin(config.adminPort, adminSource(described, look, parts), parts);
      // Last of all: what fails before must leave the processes of an earlier agent alone.
      open.defer(() => shutDown(rollout, parts));
    },
  };
}

/** What an agent without --proxy has left is stopped; where its listeners can be had, nobody is refused meanwhile. */
async function listenersOf(
  { stopTimeoutMs }: ServerConfig,
  { ports }: ReplicatedConfig,
  { open, layout, user, clock, log }: AgentParts,
  c: Call,
): Promise<readonly ProxyListen[]> {
  const listen = ports.map(({ host, port }) => ({ kind: "tcp", host, port }) as const);
  const { listeners, ended } = stopLeftovers(
    { root: layout.root, user, listen, stopTimeoutMs },
    { record: new RecordFile(layout.supervisor), clock, log },
    c,
  );
  open.defer(() => ended);
  if (listeners.includes(null)) await ended;
  return listen.map(({ host, port }, index) => {
    const fd = listeners[index] ?? null;
    return fd === null ? { host, port } : { host, port, fd };
  });
}
