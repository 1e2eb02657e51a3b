import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DewyError, messageOf, systemCode } from "../errors.ts";
import type { Call } from "../util/async.ts";
import type { Credential, CredentialDeps, Environment } from "./credential.ts";
import { askHelper } from "./credential-helper.ts";
import { variable } from "./environment.ts";
import { hubHost, type Repository } from "./reference.ts";
import { type AuthEntry, type DockerConfig, readDockerConfig } from "./wire.ts";

/** The name under which `docker login` keeps Docker Hub's credentials. */
const hubServer = "https://index.docker.io/v1/";

/**
 * What `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json` says for this repository: the helper named for
 * its host (`credHelpers`), else the one for all (`credsStore`), then `auths`. null: nothing.
 */
export async function dockerConfigCredential(
  repository: Repository,
  deps: CredentialDeps,
  c: Call,
): Promise<Credential | null> {
  const path = join(configDirectory(deps.env), "config.json");
  const config = await readConfig(path);
  if (config === null) return null;
  const helper = helperFor(config, repository.host);
  if (helper !== null) {
    const server = repository.host === "docker.io" ? hubServer : repository.host;
    const login = await askHelper(helper, server, path, deps, c);
    if (login !== null) return { source: `docker-credential-${helper}`, login };
  }
  const entry = entryFor(config.auths ?? {}, repository);
  return entry === null ? null : fromEntry(entry, repository.host, path);
}

function configDirectory(env: Environment): string {
  return variable(env, "DOCKER_CONFIG") ?? join(variable(env, "HOME") ?? homedir(), ".docker");
}

async function readConfig(path: string): Promise<DockerConfig | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return null;
    throw new DewyError("config-invalid", `${path} cannot be read (${systemCode(error) ?? "unknown"})`, {
      hint: "let the user dewy runs as read it, or point DOCKER_CONFIG at another directory",
    });
  }
  try {
    return readDockerConfig(JSON.parse(text));
  } catch (error) {
    // A parser's words on broken JSON may quote the file.
    const why = error instanceof SyntaxError ? "it is not JSON" : messageOf(error);
    throw new DewyError("config-invalid", `${path} is not Docker's configuration (${why})`, {
      hint: "repair it, or run docker login again",
    });
  }
}

function helperFor(config: DockerConfig, host: string): string | null {
  const named = Object.entries(config.credHelpers ?? {}).find(([key]) => placeOf(key).host === bare(host));
  const helper = named?.[1] ?? config.credsStore ?? "";
  return helper === "" ? null : helper;
}

/** Podman's keys may name a part of a host (`quay.io/team`); the longest that fits wins. */
function entryFor(auths: Readonly<Record<string, AuthEntry>>, repository: Repository): AuthEntry | null {
  const fitting = Object.entries(auths)
    .map(([key, entry]) => ({ ...placeOf(key), entry }))
    .filter(({ host, path }) => host === bare(repository.host) && covers(path, repository.name))
    .filter(({ entry }) => !isEmpty(entry))
    .sort((a, b) => b.path.length - a.path.length);
  return fitting[0]?.entry ?? null;
}

function covers(path: string, name: string): boolean {
  return path === "" || name === path || name.startsWith(`${path}/`);
}

/** `https://index.docker.io/v1/`, `ghcr.io`, `quay.io/team` → host and path. */
function placeOf(key: string): { host: string; path: string } {
  const [host = "", ...rest] = key.replace(/^https?:\/\//, "").split("/");
  const path = rest.join("/").replace(/\/+$/, "");
  return { host: bare(hubHost(host.toLowerCase())), path: /^v[12]$/.test(path) ? "" : path };
}

/** A port that is the usual one may be left out. */
function bare(host: string): string {
  return host.replace(/:443$/, "");
}

/** `docker login` leaves empty entries where a helper keeps the secret. */
function isEmpty(entry: AuthEntry): boolean {
  return [entry.auth, entry.username, entry.password, entry.identitytoken, entry.registrytoken].every(
    (value) => (value ?? "") === "",
  );
}

function fromEntry(entry: AuthEntry, host: string, path: string): Credential {
  const source = path;
  if ((entry.identitytoken ?? "") !== "") {
    return { source, login: { kind: "identity-token", token: entry.identitytoken ?? "" } };
  }
  if ((entry.registrytoken ?? "") !== "") {
    throw unusable(path, host, "holds a bare registry token, which ends and can't be renewed");
  }
  const { username, password } = (entry.auth ?? "") === "" ? entry : decoded(entry.auth ?? "");
  if ((username ?? "") === "" || (password ?? "") === "") throw unusable(path, host, "is not a login");
  return { source, login: { kind: "password", username: username ?? "", password: password ?? "" } };
}

/** Base64 of `name:password`; what is no such thing gives nothing. */
function decoded(auth: string): { username?: string; password?: string } {
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  // Old clients padded with zeros.
  return colon <= 0
    ? {}
    : { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
}

function unusable(path: string, host: string, why: string): DewyError {
  return new DewyError("config-invalid", `${path}: the entry for ${host} ${why}`, {
    hint: `run docker login ${host}, as the user dewy runs as`,
  });
}
