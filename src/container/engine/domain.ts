import type { PublishedPort } from "../../replicas/engine.ts";
import type { Container, Image } from "../runtime.ts";
import { fullReference } from "./names.ts";
import { readState, type WireChecked, type WireContainer, type WireImage } from "./wire.ts";

/** Throws an Error for a state that has no name here. */
export function toContainer(wire: WireContainer): Container {
  const { State: state, Config: config } = wire;
  const status = statusOf(state.Status);
  const isUp = status === "running" || status === "paused";
  return {
    id: wire.Id,
    name: wire.Name.replace(/^\//, ""),
    image: config.Image ?? "",
    imageId: withAlgorithm(wire.Image),
    status,
    health: healthOf(state.Health?.Status ?? ""),
    pid: isUp && (state.Pid ?? 0) > 0 ? (state.Pid ?? null) : null,
    exitCode: status === "exited" || status === "dead" ? (state.ExitCode ?? null) : null,
    oomKilled: state.OOMKilled ?? false,
    error: state.Error ?? "",
    createdAt: new Date(wire.Created),
    startedAt: timeOf(state.StartedAt),
    restartCount: wire.RestartCount ?? 0,
    labels: config.Labels ?? {},
    // Podman goes on naming the ports of a container that has ended.
    ports: isUp ? portsOf(wire) : [],
    addresses: isUp ? addressesOf(wire) : [],
  };
}

export function toImage(wire: WireImage): Image {
  const { Config: config } = wire;
  return {
    id: withAlgorithm(wire.Id),
    tags: fullReferences(wire.RepoTags),
    digests: fullReferences(wire.RepoDigests),
    exposedPorts: Object.keys(config?.ExposedPorts ?? {})
      .map(tcpPortOf)
      .filter((port) => port !== undefined)
      .sort((a, b) => a - b),
    user: config?.User ?? "",
    hasHealthcheck: hasCheck(config ?? {}),
    sizeBytes: wire.Size,
    createdAt: new Date(wire.Created ?? 0),
  };
}

export function hasCheck({ Healthcheck: check }: WireChecked): boolean {
  const test = check?.Test ?? [];
  return test.length > 0 && test[0] !== "NONE";
}

export function fullReferences(names: readonly string[] | null | undefined): readonly string[] {
  return (names ?? []).map(fullReference).filter((name) => name !== undefined);
}

/** Podman's own words for what it has no other name for (libpod/define/containerstate.go). */
const podmanStates: Readonly<Record<string, Container["status"]>> = {
  configured: "created",
  initialized: "created",
  stopping: "running",
  stopped: "exited",
  unknown: "dead",
};

function statusOf(word: string): Container["status"] {
  return podmanStates[word] ?? readState(word);
}

/** Podman says nothing, or `starting` for ever where no systemd runs its checks. */
function healthOf(word: string): Container["health"] {
  return word === "starting" || word === "healthy" || word === "unhealthy" ? word : "none";
}

/** Year 1 is Go's "not yet". */
function timeOf(text: string | null | undefined): Date | null {
  if (text === null || text === undefined || text.startsWith("0001-")) return null;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? null : time;
}

function portsOf(wire: WireContainer): readonly PublishedPort[] {
  return Object.entries(wire.NetworkSettings?.Ports ?? {}).flatMap(([name, bindings]) => {
    const appPort = tcpPortOf(name);
    if (appPort === undefined) return [];
    return (bindings ?? [])
      .map(({ HostIp, HostPort }) => ({ appPort, hostIp: HostIp ?? "", hostPort: Number(HostPort) }))
      .filter(({ hostPort }) => hostPort > 0);
  });
}

function addressesOf(wire: WireContainer): readonly string[] {
  const networks = Object.values(wire.NetworkSettings?.Networks ?? {});
  const v4 = networks.map((network) => network?.IPAddress ?? "");
  const v6 = networks.map((network) => network?.GlobalIPv6Address ?? "");
  return [...v4, ...v6].filter((address) => address !== "");
}

/** `80/tcp` → 80; undefined: another protocol. */
function tcpPortOf(name: string): number | undefined {
  const port = /^(\d+)(\/tcp)?$/.exec(name)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** Older Podmans give the bare hexadecimal number. */
function withAlgorithm(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? `sha256:${id}` : id;
}
