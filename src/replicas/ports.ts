import type { Address } from "../util/address.ts";
import { isIPv4 } from "../util/ip.ts";
import type { EngineInfo, Instance, PublishedPort } from "./engine.ts";
import type { ReplicaAddresses } from "./rotation.ts";

/** A port of the proxy, and what the app's copies serve it on. */
export interface PortMapping {
  readonly proxyPort: number;
  /** Names the port: a container's own, which the engine publishes on another; for a process the proxy's. */
  readonly appPort: number;
}

const loopback = "127.0.0.1";

/** Where a replica serves each proxy port on this host's loopback; a port that is not published has an empty list. */
export function publishedAddresses(
  instance: Pick<Instance, "ports">,
  ports: readonly PortMapping[],
): ReplicaAddresses {
  return new Map(
    ports.map(({ proxyPort, appPort }) => [
      proxyPort,
      instance.ports.filter((port) => port.appPort === appPort).flatMap(publishedAddress),
    ]),
  );
}

/** Where it serves them on the copy's own addresses, which work while the engine is away, too. */
export function directAddresses(
  instance: Pick<Instance, "addresses">,
  ports: readonly PortMapping[],
  engine: Pick<EngineInfo, "rootless">,
): ReplicaAddresses {
  const hosts = engine.rootless ? [] : instance.addresses;
  return new Map(
    ports.map(({ proxyPort, appPort }) => [proxyPort, hosts.map((host) => ({ host, port: appPort }))]),
  );
}

/** For each port the addresses of one, then those of the other. */
export function joinAddresses(first: ReplicaAddresses, then: ReplicaAddresses): ReplicaAddresses {
  return new Map([...first].map(([port, list]) => [port, [...list, ...(then.get(port) ?? [])]]));
}

/** A port published on every address is on loopback too. */
function publishedAddress({ hostIp, hostPort }: PublishedPort): Address[] {
  if (hostPort === 0) return [];
  if (hostIp === "" || hostIp === "0.0.0.0") return [{ host: loopback, port: hostPort }];
  if (hostIp === "::") return [{ host: "::1", port: hostPort }];
  return isIPv4(hostIp) && !hostIp.startsWith("127.") ? [] : [{ host: hostIp, port: hostPort }];
}
