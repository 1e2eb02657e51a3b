import type { ContainerView } from "../../admin/protocol.ts";
import type { DewyError } from "../../errors.ts";
import { records } from "../../events.ts";
import type { HealthPolicy } from "../../health/policy.ts";
import type { ProxyListen, ProxyProtocol } from "../../proxy/options.ts";
import { proxyHeader } from "../../proxy/proxy-protocol.ts";
import { TcpProxy } from "../../proxy/tcp-proxy.ts";
import type { ReplicaSet } from "../../replicas/replica-set.ts";
import type { ReplicaStatus } from "../../replicas/status.ts";
import type { Call } from "../../util/async.ts";
import { containerReadings, proxyReadings } from "../measure/readings.ts";
import { proxyObserver } from "../measure/telemetry.ts";
import type { AgentParts } from "./parts.ts";

/** What an operator chooses for the proxy, whatever runs behind it. */
export interface ProxyConfig {
  readonly listen: readonly ProxyListen[];
  readonly idleTimeoutMs: number;
  readonly maxConnections: number | null;
  readonly proxyProtocol: ProxyProtocol | null;
}

/** What serves, and what leads to it. */
interface Rollout {
  readonly proxy: TcpProxy;
  readonly replicas: ReplicaSet;
}

interface Visible {
  readonly proxy: { readonly members: { readonly length: number } };
  readonly replicas: Pick<ReplicaSet, "replicas" | "status">;
}

/** Listens from now on; it has no backend yet. Nobody new comes in from the moment that `c` aborts. */
export function openProxy(
  config: ProxyConfig,
  { open, log, clock, telemetry }: AgentParts,
  c: Call,
): TcpProxy {
  const { listen, idleTimeoutMs: idleMs, maxConnections, proxyProtocol } = config;
  const ports = listen.map(({ port }) => port);
  const observed = telemetry.page === null ? {} : { observer: proxyObserver(telemetry.metrics, ports) };
  const timing = { idleMs };
  const proxy = TcpProxy.open({ listen, log, clock, timing, maxConnections, proxyProtocol, ...observed });
  open.use(proxy);
  c.signal.addEventListener("abort", () => proxy.stopListening(), { once: true });
  return proxy;
}

/** The app may insist on the PROXY protocol: what dewy says itself begins with its word for that. */
export function healthPolicy(
  health: Omit<HealthPolicy, "greeting">,
  proxyProtocol: ProxyProtocol | null,
): HealthPolicy {
  const greeting = proxyProtocol === null ? "" : new TextDecoder().decode(proxyHeader(proxyProtocol, null));
  return { ...health, greeting };
}

/** The readings of the proxy and of what serves behind it. */
export function measureRollout(
  app: { readonly app: string; readonly desired: number },
  { proxy, replicas }: Rollout,
  { telemetry }: AgentParts,
): void {
  telemetry.metrics.observe(() => [
    ...proxyReadings(proxy.stats()),
    ...containerReadings({ ...app, replicas: replicas.replicas(), tally: replicas.tally }),
  ]);
}

/** Nobody new comes in while the replicas end; connections they have may end with them. */
export async function shutDown({ proxy, replicas }: Rollout, parts: AgentParts): Promise<void> {
  const c: Call = { signal: parts.hurry };
  parts.log.info(records.shuttingDown);
  proxy.stopListening();
  await replicas.close({ drain: false }, c);
  await proxy.close(0, c);
}

/** What the admin API shows of it; `ports`: how many the proxy listens on. */
export function replicasView({ proxy, replicas }: Visible, ports: number, trouble: string | null) {
  return {
    containers: replicas.replicas().map(viewOf),
    proxyBackends: proxy.members.length * ports,
    isRunning: replicas.status().kind === "serving",
    trouble,
  };
}

/** Tells that a replica could not be made anew, once for as long as it stays so. */
export function tellRenewalFailed({ currentTag, announcer }: AgentParts) {
  return ({ message, hint }: DewyError): void => {
    const tag = currentTag();
    announcer.tell({ kind: "failed", tag, message, hint: hint ?? null, servingTag: tag }, { once: true });
  };
}

function viewOf(status: ReplicaStatus): ContainerView {
  const address = status.addresses[0]?.address ?? null;
  // Made from the values of variables, too: nobody is to try them out on it.
  const { "dewy.options": _, ...labels } = status.labels;
  return { ...status, labels, address: address === null ? null : `${address.host}:${address.port}` };
}
