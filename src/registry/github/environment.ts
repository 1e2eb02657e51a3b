import { DewyError } from "../../errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export type GithubCredentials =
  | { readonly kind: "none" }
  | { readonly kind: "token"; readonly token: string }
  | {
      readonly kind: "app";
      readonly appId: string;
      readonly installationId: string;
      readonly privateKey: { readonly pem: string } | { readonly path: string };
    };

export interface GithubEnvironment {
  readonly credentials: GithubCredentials;
  /** The REST API's root without a slash at its end: `https://api.github.com`, `https://ghe.example/api/v3`. */
  readonly apiUrl: string;
  /** GITHUB_ARTIFACT, for URLs without `artifact=`. */
  readonly artifact: string | null;
}

const githubApi = "https://api.github.com";

/**
 * A GitHub App where GITHUB_APP_ID is set, else GH_TOKEN, else GITHUB_TOKEN, else none; the API at GITHUB_API_URL,
 * else GITHUB_ENDPOINT. Half an App or an unusable address is `config-invalid`.
 */
export function readGithubEnvironment(env: Environment): GithubEnvironment {
  const credentials = readApp(env) ?? readToken(env);
  return { credentials, apiUrl: readApiUrl(env, credentials), artifact: variable(env, "GITHUB_ARTIFACT") };
}

function readToken(env: Environment): GithubCredentials {
  const token = variable(env, "GH_TOKEN") ?? variable(env, "GITHUB_TOKEN");
  if (token === null) return { kind: "none" };
  if (/[^\x21-\x7e]/.test(token)) {
    throw new DewyError("config-invalid", "the GitHub token holds characters that no token has", {
      hint: "look for line breaks and quotes in GH_TOKEN or GITHUB_TOKEN",
    });
  }
  return { kind: "token", token };
}

function readApp(env: Environment): GithubCredentials | null {
  const appId = variable(env, "GITHUB_APP_ID");
  const installationId = variable(env, "GITHUB_APP_INSTALLATION_ID");
  const pem = variable(env, "GITHUB_APP_PRIVATE_KEY");
  const path = variable(env, "GITHUB_APP_PRIVATE_KEY_PATH");
  if (appId === null && installationId === null && pem === null && path === null) return null;
  const missing = [
    appId === null ? "GITHUB_APP_ID" : "",
    installationId === null ? "GITHUB_APP_INSTALLATION_ID" : "",
    pem === null && path === null ? "GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_PATH" : "",
  ].filter((name) => name !== "");
  const privateKey = pem === null ? (path === null ? null : { path }) : { pem: unfolded(pem) };
  if (appId === null || installationId === null || privateKey === null) {
    throw new DewyError("config-invalid", "the GitHub App is set only in part", {
      hint: `set ${missing.join(" and ")} too, or unset every GITHUB_APP_ variable`,
    });
  }
  if (!/^\d+$/.test(installationId)) {
    throw new DewyError("config-invalid", "GITHUB_APP_INSTALLATION_ID is not a number", {
      hint: "take the number at the end of the installation's settings page address",
    });
  }
  return { kind: "app", appId, installationId, privateKey };
}

function readApiUrl(env: Environment, credentials: GithubCredentials): string {
  const name = variable(env, "GITHUB_API_URL") === null ? "GITHUB_ENDPOINT" : "GITHUB_API_URL";
  const url = URL.parse(variable(env, name) ?? githubApi);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "") {
    throw new DewyError("config-invalid", `${name} is not the address of an API`, {
      hint: "write for example https://ghe.example/api/v3",
    });
  }
  if (url.hostname === "github.com") {
    throw new DewyError("config-invalid", `${name} names github.com, whose API is elsewhere`, {
      hint: `unset ${name}, or write ${githubApi}`,
    });
  }
  if (url.protocol === "http:" && credentials.kind !== "none" && !isLoopback(url.hostname)) {
    throw new DewyError("config-invalid", `${name} would send the GitHub credentials unencrypted`, {
      hint: `write https://${url.host}${url.pathname}`,
    });
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

/** Files of variables often hold a key on one line, with `\n` for its line breaks. */
function unfolded(pem: string): string {
  return pem.includes("\n") ? pem : pem.replaceAll("\\n", "\n");
}

function variable(env: Environment, name: string): string | null {
  const value = env[name]?.trim();
  return value === undefined || value === "" ? null : value;
}
