import { DewyError } from "../../errors.ts";
import type { PortMapping } from "../../replicas/ports.ts";
import type { CreateBody } from "../create-body.ts";
import type { RunOptions } from "../run-options/parse.ts";
import type { Image } from "../runtime.ts";

/** `--port 8000` or `--port 8000:8080`. */
export interface PortRequest {
  readonly proxyPort: number;
  /** null: the one that the image exposes. */
  readonly containerPort: number | null;
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
    appPort: containerPort ?? onlyPort(exposed, proxyPort),
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
  const names = [...new Set(ports.map(({ appPort }) => `${appPort}/tcp`))];
  return {
    ExposedPorts: Object.fromEntries(names.map((name) => [name, {}])),
    PortBindings: Object.fromEntries(names.map((name) => [name, [{ HostIp: publishedOn, HostPort: "" }]])),
  };
}
