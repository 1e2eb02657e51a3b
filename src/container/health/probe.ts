import { messageOf } from "../../errors.ts";
import { urlOf } from "../../health/dial.ts";
import { checkHttp } from "../../health/http.ts";
import type { HealthPolicy, Probed } from "../../health/policy.ts";
import { checkServed } from "../../health/served.ts";
import type { Address } from "../../util/address.ts";
import type { Call } from "../../util/async.ts";
import type { PortMapping } from "../plan/port-mapping.ts";
import type { ReplicaAddresses } from "../rotation.ts";
import type { Container } from "../runtime.ts";
import { containerListens } from "./listening.ts";

const maxTryMs = 5000;

export interface ProbeTarget {
  readonly container: Container;
  readonly addresses: ReplicaAddresses;
  readonly ports: readonly PortMapping[];
  readonly usesHealthcheck: boolean;
}

/** One look at a running replica. Never fails: whatever goes wrong is what was seen. */
export async function probe(
  target: ProbeTarget,
  policy: Pick<HealthPolicy, "path" | "timeoutMs" | "greeting">,
  c: Call,
): Promise<Probed> {
  const limitMs = Math.min(policy.timeoutMs, maxTryMs);
  if (policy.path === null && target.usesHealthcheck && target.container.health !== "healthy") {
    const { health } = target.container;
    return { ok: false, seen: `the HEALTHCHECK says ${health}`, pending: health === "starting" };
  }
  const checks = target.ports.map((mapping, index) => {
    const [address] = target.addresses.get(mapping.proxyPort) ?? [];
    if (address === undefined) {
      return {
        ok: false,
        seen: `the engine publishes nothing for the container's port ${mapping.containerPort}`,
      };
    }
    if (index === 0 && policy.path !== null) {
      return checkHttp(address, { path: policy.path, greeting: policy.greeting }, limitMs, c);
    }
    const listening = containerListens(target.container, mapping.containerPort);
    return checkServed(address, { listening, greeting: policy.greeting }, limitMs, c);
  });
  try {
    const results = await Promise.all(checks);
    return results.find(({ ok }) => !ok) ?? results[0] ?? { ok: true, seen: "it runs" };
  } catch (error) {
    c.signal.throwIfAborted();
    return { ok: false, seen: messageOf(error) };
  }
}

/** What is asked, for the log. */
export function probedUrl(target: Pick<ProbeTarget, "addresses" | "ports">, path: string | null): string {
  const first = firstAddress(target);
  if (first === null) return "";
  return path === null ? `tcp://${urlOf(first, "").slice("http://".length)}` : urlOf(first, path);
}

function firstAddress({ addresses, ports }: Pick<ProbeTarget, "addresses" | "ports">): Address | null {
  const [first] = ports;
  return (first === undefined ? undefined : addresses.get(first.proxyPort)?.[0]) ?? null;
}
