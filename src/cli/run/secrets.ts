import type { AgentConfig } from "../../config/config.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables of dewy's own that hold a secret as their whole value. */
export const secretVariables = [
  "AWS_CONTAINER_AUTHORIZATION_TOKEN",
  "AWS_ECR_PASSWORD",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "CONSUL_HTTP_TOKEN",
  "DEWY_WEBHOOK_SECRET",
  "DOCKER_PASSWORD",
  "GCR_TOKEN",
  "GH_TOKEN",
  "GITHUB_APP_PRIVATE_KEY",
  "GITHUB_TOKEN",
  "MAIL_PASSWORD",
  "REDIS_PASSWORD",
  "SLACK_TOKEN",
] as const;
/** `name=value,name=value`; the values are the secrets. */
const headerVariables = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"];
/** URLs that may have a user and a password in them. */
const urlVariables = ["AWS_ENDPOINT_URL", "GITHUB_API_URL", "GITHUB_ENDPOINT", "SLACK_API_URL"];
const proxyVariables = ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "grpc_proxy"];
const secretParameters = ["password", "token"];

type Configured = Pick<AgentConfig, "registry" | "cache" | "notifiers">;

/** What dewy was given to keep to itself: the apps' and hooks' own secrets it does not know. */
export function secretsOf({ registry, cache, notifiers }: Configured, env: Environment): readonly string[] {
  const of = (names: readonly string[]) => names.flatMap((name) => env[name] ?? []);
  const urls = [registry, cache, ...notifiers, ...of(urlVariables), ...of(proxyVariables)];
  return [...of(secretVariables), ...of(headerVariables).flatMap(headerSecrets), ...urls.flatMap(urlSecrets)];
}

function headerSecrets(pairs: string): string[] {
  const values = pairs.split(",").map((pair) => pair.slice(pair.indexOf("=") + 1).trim());
  return values.flatMap(spellings).flatMap((value) => [value, value.split(" ").at(-1) ?? ""]);
}

function urlSecrets(text: string): string[] {
  const url = URL.parse(text);
  if (url === null) return [];
  const parameters = url.search.slice(1).split("&");
  const values = parameters.flatMap((pair) => {
    const [name = "", ...value] = pair.split("=");
    return secretParameters.includes(name) ? spellings(value.join("=")) : [];
  });
  // Whoever knows its address may post to it.
  const address = /^webhook\+/.test(url.protocol) ? [text.replace(/^.*?:\/\//, "")] : [];
  return [...spellings(url.password), ...values, ...address];
}

/** As it is written, and as it is meant. */
function spellings(value: string): string[] {
  try {
    return [value, decodeURIComponent(value)];
  } catch {
    return [value];
  }
}
