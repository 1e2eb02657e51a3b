import { DewyError } from "../errors.ts";
import type { Credential, Environment } from "./credential.ts";
import { hostWithoutPort, type Repository } from "./reference.ts";

interface HostVariable {
  readonly name: string;
  readonly username: string;
  readonly hosts: RegExp;
}

/** Tokens of well-known registries: for those hosts alone, and only encrypted. */
const hostVariables: readonly HostVariable[] = [
  { name: "GITHUB_TOKEN", username: "x-access-token", hosts: /^ghcr\.io$/ },
  {
    name: "AWS_ECR_PASSWORD",
    username: "AWS",
    hosts: /^[a-z0-9-]+\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com$/,
  },
  {
    name: "GCR_TOKEN",
    username: "oauth2accesstoken",
    hosts: /^(gcr\.io|[a-z0-9-]+\.gcr\.io|[a-z0-9-]+-docker\.pkg\.dev)$/,
  },
];

export function hostVariableCredential({ host, transport }: Repository, env: Environment): Credential | null {
  if (transport !== "tls" || hostWithoutPort(host) !== host.replace(/:443$/, "")) return null;
  const known = hostVariables.find(({ hosts }) => hosts.test(hostWithoutPort(host)));
  const password = known === undefined ? null : variable(env, known.name);
  if (known === undefined || password === null) return null;
  return { source: known.name, login: { kind: "password", username: known.username, password } };
}

/** `DOCKER_USERNAME` and `DOCKER_PASSWORD` belong to the registry that the agent was told to follow. */
export function dockerVariableCredential(env: Environment): Credential | null {
  const username = variable(env, "DOCKER_USERNAME");
  const password = variable(env, "DOCKER_PASSWORD");
  if (username === null && password === null) return null;
  if (username === null || password === null) {
    const missing = username === null ? "DOCKER_USERNAME" : "DOCKER_PASSWORD";
    throw new DewyError("config-invalid", `${missing} is not set, but its counterpart is`, {
      hint: "set DOCKER_USERNAME and DOCKER_PASSWORD, or neither",
    });
  }
  return { source: "DOCKER_USERNAME", login: { kind: "password", username, password } };
}

/** Variables that come from files often end with a line break. */
export function variable(env: Environment, name: string): string | null {
  const value = env[name]?.trim();
  return value === undefined || value === "" ? null : value;
}
