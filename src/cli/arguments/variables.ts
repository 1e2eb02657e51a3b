import type { CommandName } from "./commands.ts";

interface Variable {
  readonly name: string;
  readonly commands: readonly CommandName[];
  readonly help: string;
}

const archives = ["server", "assets"] as const;
const deploying = ["server", "assets", "container"] as const;
const container = ["container"] as const;

/** Environment variables that dewy reads, for the help. */
export const environment: readonly Variable[] = [
  {
    name: "DEWY_CACHEDIR",
    commands: deploying,
    help: "where downloads are kept (default .dewy/cache under the root)",
  },
  {
    name: "GH_TOKEN, GITHUB_TOKEN",
    commands: archives,
    help: "token for GitHub, the first one set is used",
  },
  {
    name: "GITHUB_APP_ID, …",
    commands: archives,
    help: "GitHub App: with GITHUB_APP_INSTALLATION_ID and GITHUB_APP_PRIVATE_KEY or …_KEY_PATH",
  },
  { name: "GITHUB_API_URL", commands: archives, help: "GitHub Enterprise (or GITHUB_ENDPOINT)" },
  {
    name: "GITHUB_ARTIFACT",
    commands: archives,
    help: "name of the release's file, as artifact= in the URL",
  },
  {
    name: "AWS_ACCESS_KEY_ID, …",
    commands: deploying,
    help: "for s3://: what the AWS tools read, AWS_PROFILE and AWS_ENDPOINT_URL too",
  },
  {
    name: "STORAGE_EMULATOR_HOST",
    commands: deploying,
    help: "for gs://, an emulator; GOOGLE_APPLICATION_CREDENTIALS is a key file for the real one",
  },
  { name: "REDIS_PASSWORD", commands: deploying, help: "for redis:// without a password in it" },
  { name: "CONSUL_HTTP_TOKEN", commands: deploying, help: "for consul:// without token=" },
  { name: "SLACK_TOKEN", commands: deploying, help: "bot token for slack://, with chat:write" },
  {
    name: "SLACK_API_URL",
    commands: deploying,
    help: "a server that speaks like Slack's (default https://slack.com/api/)",
  },
  {
    name: "MAIL_USERNAME, …",
    commands: deploying,
    help: "with MAIL_PASSWORD and MAIL_FROM: for smtp://, where the URL does not say it",
  },
  {
    name: "DEWY_WEBHOOK_SECRET",
    commands: deploying,
    help: "key of the signature on what is posted to webhook+https://",
  },
  {
    name: "OTEL_SERVICE_NAME, …",
    commands: deploying,
    help: "with OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_HEADERS, OTEL_METRIC_EXPORT_INTERVAL (in ms, default 15000): for telemetry; OTEL_EXPORTER_OTLP_CERTIFICATE (a file) and …_TIMEOUT (in ms, default 10000)",
  },
  {
    name: "HTTPS_PROXY, …",
    commands: deploying,
    help: "with HTTP_PROXY, NO_PROXY, SSL_CERT_FILE: for every client",
  },
  {
    name: "DOCKER_CONFIG",
    commands: container,
    help: "directory of config.json with the registries' credentials (default ~/.docker)",
  },
  {
    name: "GITHUB_TOKEN, …",
    commands: container,
    help: "for ghcr.io; AWS_ECR_PASSWORD, GCR_TOKEN, DOCKER_USERNAME with DOCKER_PASSWORD for theirs",
  },
  {
    name: "DOCKER_HOST",
    commands: container,
    help: "the engine's address (default unix:///var/run/docker.sock); CONTAINER_HOST for podman",
  },
  {
    name: "KILL_OLD_DELAY",
    commands: ["server"],
    help: "seconds before the old process is told to stop (default 0; 5 with ENABLE_AUTO_RESTART)",
  },
  {
    name: "ENABLE_AUTO_RESTART",
    commands: ["server"],
    help: "1: restart the app every AUTO_RESTART_INTERVAL seconds (default 360)",
  },
  {
    name: "ENVDIR",
    commands: ["server"],
    help: "folder of variables (file name = name) read before each start",
  },
];
