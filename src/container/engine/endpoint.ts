import { isAbsolute, join } from "node:path";
import { DewyError } from "../../errors.ts";

export type EngineKind = "docker" | "podman";
export type Environment = Readonly<Record<string, string | undefined>>;

export type Endpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly authority: string; readonly tls: TlsFiles | null };

/** Paths of PEM files. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Where the engine is asked; `service`: nobody serves Podman's API, so a child of ours has to. */
export type EndpointChoice = Endpoint | { readonly kind: "service" };

/** What this user can do with a socket: talk to it, only see that it is there, or neither. */
export type SocketAccess = "usable" | "denied" | "absent";

interface Surroundings {
  readonly env: Environment;
  readonly access: (path: string) => SocketAccess;
}

/** Answers undefined where it does not apply, so that the next one is asked. */
type Strategy = (at: Surroundings) => EndpointChoice | undefined;

const systemSockets = { docker: "/var/run/docker.sock", podman: "/run/podman/podman.sock" } as const;
const userSockets = { docker: "docker.sock", podman: "podman/podman.sock" } as const;

const strategies: Readonly<Record<EngineKind, readonly Strategy[]>> = {
  docker: [named("DOCKER_HOST"), usable("docker"), denied("docker"), () => unix(systemSockets.docker)],
  podman: [named("CONTAINER_HOST"), usable("podman"), () => ({ kind: "service" })],
};

/** The first strategy that applies. `config-invalid`: the environment names what dewy can't talk to. */
export function chooseEndpoint(kind: EngineKind, at: Surroundings): EndpointChoice {
  for (const strategy of strategies[kind]) {
    const found = strategy(at);
    if (found !== undefined) return found;
  }
  throw new DewyError("internal", `no way to find ${kind}`);
}

/** For messages. */
export function nameOf(endpoint: Endpoint): string {
  return endpoint.kind === "unix" ? endpoint.path : endpoint.authority;
}

function named(variable: "DOCKER_HOST" | "CONTAINER_HOST"): Strategy {
  return ({ env }) => {
    const value = env[variable];
    return value === undefined || value === "" ? undefined : parseHost(variable, value, env);
  };
}

/** A system's socket that is there but not for this user gives way to the user's own. */
function usable(kind: EngineKind): Strategy {
  return ({ env, access }) => firstWith("usable", sockets(kind, env), access);
}

function denied(kind: EngineKind): Strategy {
  return ({ env, access }) => firstWith("denied", sockets(kind, env), access);
}

function firstWith(wanted: SocketAccess, paths: readonly string[], access: Surroundings["access"]) {
  const path = paths.find((each) => access(each) === wanted);
  return path === undefined ? undefined : unix(path);
}

function sockets(kind: EngineKind, env: Environment): readonly string[] {
  const runtimeDir = env["XDG_RUNTIME_DIR"] ?? "";
  return isAbsolute(runtimeDir)
    ? [systemSockets[kind], join(runtimeDir, userSockets[kind])]
    : [systemSockets[kind]];
}

function unix(path: string): Endpoint {
  return { kind: "unix", path };
}

function parseHost(variable: string, value: string, env: Environment): Endpoint {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(value)?.[1]?.toLowerCase() ?? "";
  // The value is not repeated: it may hold a password.
  const refuse = (why: string) =>
    new DewyError("config-invalid", `${variable}: ${why}`, {
      hint: "write unix:///path/to/engine.sock or tcp://host:port",
    });
  if (scheme === "unix") {
    const path = value.slice("unix://".length);
    if (!isAbsolute(path)) throw refuse("the path of the socket is not absolute");
    return unix(path);
  }
  if (scheme === "tcp" || scheme === "http" || scheme === "https")
    return parseTcp(value, scheme, env, refuse);
  if (scheme === "ssh") {
    throw refuse("dewy does not reach an engine by ssh, run it on the engine's own host");
  }
  throw refuse(scheme === "" ? "not a URL" : `${scheme}:// is not supported`);
}

function parseTcp(
  value: string,
  scheme: "tcp" | "http" | "https",
  env: Environment,
  refuse: (why: string) => DewyError,
): Endpoint {
  const text = value.replace(/^[a-z]+:/i, "http:");
  if (!URL.canParse(text)) throw refuse("not a URL");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") throw refuse("a user or password has no place in it");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw refuse("holds more than host and port");
  const tls = scheme === "http" ? null : tlsFiles(env);
  if (scheme === "https" && tls === null) throw refuse("https:// needs DOCKER_CERT_PATH");
  // URL drops a port that is the scheme's default.
  const port = url.port === "" ? (/:80\/?$/.test(value) ? 80 : tls === null ? 2375 : 2376) : url.port;
  return { kind: "tcp", authority: `${url.hostname}:${port}`, tls };
}

/** Either variable asks for TLS; the engine's certificate is checked in any case. */
function tlsFiles(env: Environment): TlsFiles | null {
  const directory = env["DOCKER_CERT_PATH"] ?? "";
  if ((env["DOCKER_TLS_VERIFY"] ?? "") === "" && directory === "") return null;
  const at = directory === "" ? join(env["HOME"] ?? "/", ".docker") : directory;
  return { ca: join(at, "ca.pem"), cert: join(at, "cert.pem"), key: join(at, "key.pem") };
}
