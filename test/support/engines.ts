import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Engine, engineDirectory, freeSubnet, requirePrograms, startEngine } from "./engine-process.ts";

export interface DockerOptions {
  /** More flags of dockerd: `--live-restore`, `--insecure-registry=registry.test:5000`. */
  readonly flags?: readonly string[];
  /** A data-root of the test's own making, for example a small file system. */
  readonly dataRoot?: string;
}

/**
 * A private dockerd. It has a bridge of its own and leaves the packet filter alone: a dockerd that starts flushes
 * the chains of those that run. Published ports work through the userland proxy, containers' addresses over the
 * bridge; a container reaches this host only.
 */
export async function startDocker(options: DockerOptions = {}): Promise<Engine> {
  requirePrograms(["dockerd", "docker", "ip"], "docker.io iptables iproute2");
  const directory = engineDirectory();
  const socket = join(directory, "docker.sock");
  const bridge = linkName("d", directory);
  writeFileSync(join(directory, "daemon.json"), "{}");
  ip("link", "add", bridge, "type", "bridge");
  ip("addr", "add", `${freeSubnet()}.1/24`, "dev", bridge);
  ip("link", "set", bridge, "up");
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: join(directory, "client") };
  return startEngine({
    name: "docker",
    directory,
    socket,
    env,
    client: ["docker"],
    daemon: [
      "dockerd",
      `--host=unix://${socket}`,
      `--data-root=${options.dataRoot ?? join(directory, "data")}`,
      `--exec-root=${join(directory, "exec")}`,
      `--pidfile=${join(directory, "pid")}`,
      `--config-file=${join(directory, "daemon.json")}`,
      `--bridge=${bridge}`,
      ...["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"],
      ...(options.flags ?? []),
    ],
    companionPid: join(directory, "exec/containerd/containerd.pid"),
    plan: {
      directory,
      links: [bridge],
      // Removed by the engine, a container leaves no shim's socket in /run.
      removeContainers: ["/bin/sh", "-c", "docker ps -aq | xargs -r docker rm -fv"],
      env,
    },
  });
}

/** A private Podman with its API service; networks, storage, locks and registries' settings are its own. */
export async function startPodman(): Promise<Engine> {
  requirePrograms(
    ["podman", "runc", "conmon", "ip"],
    "podman runc conmon containernetworking-plugins iproute2",
  );
  const directory = engineDirectory();
  const socket = join(directory, "podman.sock");
  const bridge = linkName("p", directory);
  const settings = podmanSettings(directory, bridge);
  const podman = podmanCommand(directory);
  return startEngine({
    name: "podman",
    directory,
    socket,
    env: { ...settings, CONTAINER_HOST: `unix://${socket}` },
    client: ["podman", "--remote"],
    daemon: [...podman, "system", "service", "--time=0", `unix://${socket}`],
    companionPid: null,
    plan: {
      directory,
      links: [bridge],
      // Its containers' network namespaces and port rules lie outside of the directory.
      removeContainers: [...podman, "rm", "--all", "--force", "--time=0"],
      env: settings,
    },
  });
}

/** Podman on the files below the directory, as its service is started. */
export function podmanCommand(directory: string): readonly string[] {
  const at = (name: string) => join(directory, name);
  return ["podman", `--root=${at("root")}`, `--runroot=${at("run")}`, `--tmpdir=${at("tmp")}`];
}

/** Writes the settings files and answers the variables that name them. */
export function podmanSettings(directory: string, bridge: string): Record<string, string> {
  const networks = join(directory, "networks");
  mkdirSync(networks);
  const files = {
    "containers.conf": [
      "[containers]",
      // More than this machine's hard limits is refused.
      'default_ulimits=["nofile=1024:1024","nproc=1024:1024"]',
      "[engine]",
      'runtime="runc"',
      'cgroup_manager="cgroupfs"',
      'events_logger="file"',
      // The locks in shared memory are all Podmans' on this host; a first start frees them.
      'lock_type="file"',
      "[network]",
      'network_backend="cni"',
      `network_config_dir="${networks}"`,
    ].join("\n"),
    "registries.conf": ["127.0.0.1", "localhost"]
      .map((host) => `[[registry]]\nlocation="${host}"\ninsecure=true\n`)
      .join("\n"),
    "auth.json": "{}",
    "networks/87-podman.conflist": JSON.stringify(podmanNetwork(directory, bridge)),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), `${text}\n`);
  return {
    CONTAINERS_CONF: join(directory, "containers.conf"),
    CONTAINERS_REGISTRIES_CONF: join(directory, "registries.conf"),
    REGISTRY_AUTH_FILE: join(directory, "auth.json"),
  };
}

function podmanNetwork(directory: string, bridge: string): object {
  const prefix = freeSubnet();
  const ranges = [[{ subnet: `${prefix}.0/24`, gateway: `${prefix}.1` }]];
  const ipam = { type: "host-local", dataDir: join(directory, "leases"), ranges };
  const plugins = [
    { type: "bridge", bridge, isGateway: true, hairpinMode: true, ipam },
    { type: "portmap", capabilities: { portMappings: true } },
  ];
  return { cniVersion: "0.4.0", name: "podman", plugins };
}

const shared = new Map<Engine["name"], Promise<Engine>>();

/** One for all tests of this process, started when first asked for (in a `beforeAll` with time); ends with it. */
export function sharedDocker(): Promise<Engine> {
  return startOnce("docker", startDocker);
}

/** As `sharedDocker`. */
export function sharedPodman(): Promise<Engine> {
  return startOnce("podman", startPodman);
}

function startOnce(name: Engine["name"], start: () => Promise<Engine>): Promise<Engine> {
  const engine = shared.get(name) ?? start();
  shared.set(name, engine);
  return engine;
}

/** At most 15 letters, and told apart by the directory's random ones; no kind's is another's. */
export function linkName(kind: string, directory: string): string {
  return `dwy${kind}${directory.slice(-6).toLowerCase()}`;
}

function ip(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...args]);
  if (exitCode !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}
