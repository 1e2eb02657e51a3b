import { DewyError } from "../../errors.ts";
import type { Address } from "../../util/address.ts";
import { isIPv4 } from "../../util/ip.ts";
import type { CreateBody } from "../create-body.ts";
import type { ReplicaAddresses } from "../rotation.ts";
import type { RunOptions } from "../run-options/parse.ts";
import type { Container, Image, PublishedPort, RuntimeInfo } from "../runtime.ts";

/** `--port 8000` or `--port 8000:8080`. */
export interface PortRequest {
  readonly proxyPort: number;
  /** null: the one that the image exposes. */
  readonly containerPort: number | null;
}

export interface PortMapping {
  readonly proxyPort: number;
  readonly containerPort: number;
}

/** Only this host's proxy may come in. */
const publishedOn = "127.0.0.1";

/**
 * Gives every proxy port its port in the container: the one TCP port that the image (EXPOSE) or the operator
 * (`--expose`) names. None or several of them are `config-invalid`.
 */
export function resolvePorts(
  requests: readonly PortRequest[],
  image: Pick<Image, "exposedPorts">,
  options: Pick<RunOptions, "config">,
): PortMapping[] {
  const exposed = new Set([...image.exposedPorts, ...exposedBy(options)]);
  return requests.map(({ proxyPort, containerPort }) => ({
    proxyPort,
    containerPort: containerPort ?? onlyPort(exposed, proxyPort),
  }));
}

function exposedBy({ config }: Pick<RunOptions, "config">): number[] {
  const names = Object.keys(config.ExposedPorts ?? {});
  return names.filter((name) => name.endsWith("/tcp")).map((name) => Number.parseInt(name, 10));
}

function onlyPort(exposed: ReadonlySet<number>, proxyPort: number): number {
  const [port, ...others] = [...exposed].sort((a, b) => a - b);
  if (port !== undefined && others.length === 0) return port;
  const found = port === undefined ? "no TCP port" : `several TCP ports (${[port, ...others].join(", ")})`;
  throw new DewyError("config-invalid", `--port ${proxyPort}: the image exposes ${found}`, {
    hint: `name the container's port: --port ${proxyPort}:${port ?? 8080}`,
  });
}

/** Each port of the container on a port of 127.0.0.1 that the engine chooses. */
export function portBindings(ports: readonly PortMapping[]): Required<Pick<CreateBody, "ExposedPorts">> & {
  PortBindings: NonNullable<NonNullable<CreateBody["HostConfig"]>["PortBindings"]>;
} {
  const names = [...new Set(ports.map(({ containerPort }) => `${containerPort}/tcp`))];
  return {
    ExposedPorts: Object.fromEntries(names.map((name) => [name, {}])),
    PortBindings: Object.fromEntries(names.map((name) => [name, [{ HostIp: publishedOn, HostPort: "" }]])),
  };
}

/** Where a replica serves each proxy port on this host's loopback; a port that is not published has an empty list. */
export function publishedAddresses(
  container: Pick<Container, "ports">,
  ports: readonly PortMapping[],
): ReplicaAddresses {
  return new Map(
    ports.map(({ proxyPort, containerPort }) => [
      proxyPort,
      container.ports.filter((port) => port.containerPort === containerPort).flatMap(publishedAddress),
    ]),
  );
}

/** Where it serves them on the container's own addresses, which work while the engine is away, too. */
export function directAddresses(
  container: Pick<Container, "addresses">,
  ports: readonly PortMapping[],
  engine: Pick<RuntimeInfo, "rootless">,
): ReplicaAddresses {
  const hosts = engine.rootless ? [] : container.addresses;
  return new Map(
    ports.map(({ proxyPort, containerPort }) => [
      proxyPort,
      hosts.map((host) => ({ host, port: containerPort })),
    ]),
  );
}

/** For each port the addresses of one, then those of the other. */
export function joinAddresses(first: ReplicaAddresses, then: ReplicaAddresses): ReplicaAddresses {
  return new Map([...first].map(([port, list]) => [port, [...list, ...(then.get(port) ?? [])]]));
}

/** A port published on every address is on loopback too. */
function publishedAddress({ hostIp, hostPort }: PublishedPort): Address[] {
  if (hostPort === 0) return [];
  if (hostIp === "" || hostIp === "0.0.0.0") return [{ host: publishedOn, port: hostPort }];
  if (hostIp === "::") return [{ host: "::1", port: hostPort }];
  return isIPv4(hostIp) && !hostIp.startsWith("127.") ? [] : [{ host: hostIp, port: hostPort }];
}
