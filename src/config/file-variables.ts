import { nearest } from "../util/suggest.ts";
import type { Problem } from "./problem.ts";

/** What dewy and the libraries in it read while they run. */
const names = [
  "DEWY_CACHEDIR",
  "GH_TOKEN",
  "GITHUB_TOKEN",
  "GITHUB_APP_ID",
  "GITHUB_APP_INSTALLATION_ID",
  "GITHUB_APP_PRIVATE_KEY",
  "GITHUB_APP_PRIVATE_KEY_PATH",
  "GITHUB_API_URL",
  "GITHUB_ENDPOINT",
  "GITHUB_ARTIFACT",
  "STORAGE_EMULATOR_HOST",
  "GOOGLE_APPLICATION_CREDENTIALS",
  "REDIS_PASSWORD",
  "CONSUL_HTTP_TOKEN",
  "SLACK_TOKEN",
  "SLACK_API_URL",
  "MAIL_USERNAME",
  "MAIL_PASSWORD",
  "MAIL_FROM",
  "DEWY_WEBHOOK_SECRET",
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "NO_PROXY",
  "DOCKER_CONFIG",
  "DOCKER_HOST",
  "DOCKER_CERT_PATH",
  "DOCKER_TLS_VERIFY",
  "DOCKER_USERNAME",
  "DOCKER_PASSWORD",
  "CONTAINER_HOST",
  "GCR_TOKEN",
  "KILL_OLD_DELAY",
  "ENABLE_AUTO_RESTART",
  "AUTO_RESTART_INTERVAL",
  "ENVDIR",
];

/** AWS and OpenTelemetry define more of them than anybody lists. */
const prefixes = ["AWS_", "OTEL_"];

/** What the runtime reads as it starts, before there is a file. */
const tooLate = ["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "TZ"];

/** Those whose values may be shown. */
const open = [
  "DEWY_CACHEDIR",
  "GITHUB_API_URL",
  "GITHUB_ARTIFACT",
  "GITHUB_ENDPOINT",
  "AWS_REGION",
  "AWS_PROFILE",
  "DOCKER_CONFIG",
  "DOCKER_HOST",
  "CONTAINER_HOST",
  "KILL_OLD_DELAY",
  "ENABLE_AUTO_RESTART",
  "AUTO_RESTART_INTERVAL",
  "ENVDIR",
];

/** What is wrong with a variable in the file's `[env]`; null: nothing. */
export function variableProblem(name: string): Problem | null {
  if (isReadVariable(name)) return null;
  if (tooLate.includes(name)) {
    return { message: `${name} is read before the file is`, hint: "set it where dewy is started" };
  }
  const close = nearest(name, names);
  const hint =
    close === null
      ? "the app's variables belong into ENVDIR or where dewy is started"
      : `did you mean ${close}?`;
  return { message: `${name} is no variable that dewy reads`, hint };
}

export function isOpenVariable(name: string): boolean {
  return open.includes(name);
}

/** Whether it is one of those that dewy reads. */
export function isReadVariable(name: string): boolean {
  return names.includes(name) || prefixes.some((prefix) => name.startsWith(prefix));
}
