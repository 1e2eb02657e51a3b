import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ContainerSpec } from "../../src/container/runtime.ts";
import type { Engine } from "./engine-process.ts";
import { tempDir } from "./temp-dir.ts";

/** What `GET /containers/{id}/json` says, as far as containers are compared. */
export interface Inspected {
  readonly Id: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Mounts: readonly Readonly<Record<string, unknown>>[];
  readonly State: { readonly Running: boolean; readonly Health?: { readonly Status: string } };
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
    readonly Ports: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>>;
  };
}

/** An image with busybox as its one program; `changes` are lines of a Dockerfile. */
export function importBusybox(engine: Engine, name: string, changes: readonly string[]): void {
  using dir = tempDir();
  const root = join(dir.path, "root");
  const archive = join(dir.path, "root.tar");
  for (const path of ["bin", "etc", "tmp"]) mkdirSync(join(root, path), { recursive: true });
  for (const name of ["busybox", "sh", "sleep", "true", "id", "hostname", "grep"])
    cpSync("/bin/busybox", join(root, "bin", name));
  Bun.spawnSync(["tar", "-cf", archive, "-C", root, "."]);
  engine.cli("import", ...changes.flatMap((change) => ["--change", change]), archive, name);
}

/** Creates a container as `docker run` would; answers its id. */
export async function createByCli(
  engine: Engine,
  args: readonly string[],
  at: { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> },
): Promise<string> {
  const create = Bun.spawn(["docker", "create", ...args], {
    cwd: at.cwd,
    env: { ...at.env, ...engine.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [code, id, said] = await Promise.all([
    create.exited,
    new Response(create.stdout).text(),
    new Response(create.stderr).text(),
  ]);
  if (code !== 0) throw new Error(`docker create ${args.join(" ")}: ${said}`);
  return id.trim();
}

/** Creates a container with dewy's body; answers its id. */
export async function createByApi(engine: Engine, spec: ContainerSpec): Promise<string> {
  const query = new URLSearchParams({ name: spec.name });
  if (spec.platform !== null) query.set("platform", spec.platform);
  const answer = await ask(engine, "POST", `/containers/create?${query}`, spec.body);
  return answer.Id;
}

export async function startByApi(engine: Engine, id: string): Promise<void> {
  await ask(engine, "POST", `/containers/${id}/start`);
}

export function inspect(engine: Engine, id: string): Promise<Inspected> {
  return ask(engine, "GET", `/containers/${id}/json`);
}

/** With its anonymous volumes. */
export async function remove(engine: Engine, id: string): Promise<void> {
  await ask(engine, "DELETE", `/containers/${id}?force=1&v=1`);
}

// biome-ignore lint/suspicious/noExplicitAny: each caller knows which of the engine's answers it asked for
async function ask(engine: Engine, method: string, path: string, body?: object): Promise<any> {
  const answer = await fetch(`http://engine/v1.41${path}`, {
    unix: engine.socket,
    method,
    headers: { "Content-Type": "application/json" },
    signal: AbortSignal.timeout(30_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** Of the containers themselves, and not of their options. */
const ignored = {
  Config: [
    // The container's id unless an option sets it; compared where one does.
    "Hostname",
    // `docker create` says that it could attach; nobody reads them later.
    "AttachStdout",
    "AttachStderr",
  ],
  HostConfig: [
    // Of the terminal that `docker` ran in.
    "ConsoleSize",
  ],
} as const;

/** What the options made of a container, in a form that two containers share. */
export function comparable({ Id, Config, HostConfig, Mounts, NetworkSettings }: Inspected) {
  const networks = Object.entries(NetworkSettings.Networks).map(([name, endpoint]) => {
    // The engine adds the container's short id.
    const aliases = texts(endpoint["Aliases"]).filter((alias) => !Id.startsWith(alias));
    return [name, { aliases: aliases.sort(), options: endpoint["DriverOpts"], ipam: endpoint["IPAMConfig"] }];
  });
  const hostname = String(Config["Hostname"]);
  return withoutNothings({
    config: {
      ...without(Config, ignored.Config),
      hostname: Id.startsWith(hostname) ? null : hostname,
      Env: variables(texts(Config["Env"])),
      Labels: foreignLabels(Config["Labels"]),
    },
    // `docker create` sends them in no order; the engine mounts parents first whatever the order.
    host: { ...without(HostConfig, ignored.HostConfig), Binds: texts(HostConfig["Binds"]).sort() },
    mounts: Mounts.map((mount) => without(mount, anonymous(mount) ? ["Name", "Source"] : [])).sort(byTarget),
    networks: Object.fromEntries(networks),
  });
}

/**
 * `docker` sends empty lists and objects where dewy sends nothing, and `no` for no restart policy: to the engine they
 * are the same.
 */
function withoutNothings(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(withoutNothings);
  if (typeof value !== "object" || value === null) return value ?? undefined;
  const entries = Object.entries(value).map(([key, each]) => [key, withoutNothings(each)] as const);
  const kept = entries.filter(
    ([key, each]) => each !== undefined && !(key === "RestartPolicy" && isNoPolicy(each)),
  );
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function isNoPolicy(policy: unknown): boolean {
  return (
    policy !== null &&
    typeof policy === "object" &&
    "Name" in policy &&
    ["", "no"].includes(String(policy.Name))
  );
}

/** `docker create` sends them in no order, and may send one twice; the last one counts. */
function variables(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(entries.map((entry) => [entry.split("=", 1)[0], entry]).sort());
}

function foreignLabels(labels: unknown): object {
  const entries = Object.entries(labels ?? {}).filter(([key]) => !key.startsWith("dewy."));
  return Object.fromEntries(entries);
}

function anonymous(mount: Readonly<Record<string, unknown>>): boolean {
  return mount["Type"] === "volume" && /^[0-9a-f]{64}$/.test(String(mount["Name"]));
}

function byTarget(a: Record<string, unknown>, b: Record<string, unknown>): number {
  return String(a["Destination"]) < String(b["Destination"]) ? -1 : 1;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function without(
  record: Readonly<Record<string, unknown>>,
  names: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}
