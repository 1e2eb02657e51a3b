import { messageOf } from "../errors.ts";
import { urlOf } from "../health/dial.ts";
import { lackIn } from "../health/hindrance.ts";
import { checkHttp } from "../health/http.ts";
import type { HealthPolicy, Probed } from "../health/policy.ts";
import { checkServed } from "../health/served.ts";
import { type Address, addressText } from "../util/address.ts";
import type { Call } from "../util/async.ts";
import type { Instance, PublishedPort, ReplicaEngine } from "./engine.ts";
import type { PortMapping } from "./ports.ts";
import type { Replica } from "./replica.ts";
import type { ReplicaAddresses } from "./rotation.ts";

const maxTryMs = 5000;

export interface ProbeTarget {
  readonly instance: Instance;
  readonly addresses: ReplicaAddresses;
  readonly ports: readonly PortMapping[];
  readonly usesHealthcheck: boolean;
  readonly engine: Pick<ReplicaEngine, "listening" | "check" | "words">;
}

/** What there is to look at of a replica, of which the engine says `instance`. */
export function targetOf(
  { addresses, deployment }: Pick<Replica, "addresses" | "deployment">,
  instance: Instance,
  engine: ProbeTarget["engine"],
): ProbeTarget {
  const { ports, usesHealthcheck } = deployment;
  return { instance, addresses, ports, usesHealthcheck, engine };
}

/** One look at a running replica. Never fails: whatever goes wrong is what was seen. */
export async function probe(
  target: ProbeTarget,
  policy: Pick<HealthPolicy, "path" | "timeoutMs" | "greeting">,
  c: Call,
): Promise<Probed> {
  const { noun } = target.engine.words;
  const limitMs = Math.min(policy.timeoutMs, maxTryMs);
  if (policy.path === null && target.usesHealthcheck && target.instance.health !== "healthy") {
    const { health } = target.instance;
    return { ok: false, seen: `the HEALTHCHECK says ${health}`, pending: health === "starting" };
  }
  const checks = target.ports.map(async (mapping, index): Promise<Probed> => {
    const [address] = target.addresses.get(mapping.proxyPort) ?? [];
    if (address === undefined) {
      return {
        ok: false,
        seen: `the engine publishes nothing for the ${noun}'s port ${mapping.appPort}`,
      };
    }
    const port = published(target.instance, mapping, address);
    const listening = await target.engine.listening(target.instance, port);
    if (listening === "not-its-own") {
      return { ok: false, seen: `${addressText(address)}: the ${noun} does not listen there` };
    }
    if (index === 0 && policy.path !== null) {
      return await checkHttp(address, { path: policy.path, greeting: policy.greeting }, limitMs, c);
    }
    if (listening === "its-own") return { ok: true, seen: `${addressText(address)}: served` };
    return await checkServed(address, { listening, greeting: policy.greeting }, limitMs, c);
  });
  try {
    const results = await Promise.all(checks);
    const failed = results.find(({ ok }) => !ok);
    if (failed !== undefined) return failed;
    const asked = (await target.engine.check?.(target.instance, limitMs, c)) ?? null;
    return asked?.ok === false ? asked : (results[0] ?? asked ?? { ok: true, seen: "it runs" });
  } catch (error) {
    c.signal.throwIfAborted();
    return { ok: false, seen: messageOf(error), unasked: lackIn(error) !== null };
  }
}

function published({ ports }: Instance, { appPort }: PortMapping, { host, port }: Address): PublishedPort {
  return ports.find((each) => each.appPort === appPort) ?? { appPort, hostIp: host, hostPort: port };
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
