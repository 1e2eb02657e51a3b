import { expect, test } from "bun:test";
import { readPage } from "../support/docs-pages.ts";

/** All that the Go original takes. */
const flags = [
  ..."registry cache notifier interval log-level log-format name port container-port".split(" "),
  ..."before-deploy-hook after-deploy-hook replicas health-path health-timeout drain-time".split(" "),
  ..."runtime proxy-idle-timeout cmd admin-port slot calver".split(" "),
  ..."telemetry otlp-endpoint otlp-insecure help version".split(" "),
];
const letters = ["c", "i", "l", "f", "n", "p", "s", "h", "v"];
const variables = [
  ..."DEWY_CACHEDIR GH_TOKEN GITHUB_TOKEN GITHUB_API_URL GITHUB_ENDPOINT GITHUB_ARTIFACT".split(" "),
  ..."GITHUB_APP_ID GITHUB_APP_INSTALLATION_ID GITHUB_APP_PRIVATE_KEY GITHUB_APP_PRIVATE_KEY_PATH".split(" "),
  ..."AWS_ACCESS_KEY_ID AWS_ENDPOINT_URL GOOGLE_APPLICATION_CREDENTIALS STORAGE_EMULATOR_HOST".split(" "),
  ..."DOCKER_CONFIG AWS_ECR_PASSWORD GCR_TOKEN DOCKER_USERNAME DOCKER_PASSWORD DOCKER_HOST".split(" "),
  ..."SLACK_TOKEN MAIL_USERNAME MAIL_PASSWORD MAIL_FROM".split(" "),
  ..."KILL_OLD_DELAY ENABLE_AUTO_RESTART ENVDIR".split(" "),
  ..."HTTPS_PROXY HTTP_PROXY NO_PROXY SSL_CERT_FILE".split(" "),
];

/** The first cells of the table below a heading. */
function cells(heading: string): string {
  const { text } = readPage("docs/migration.md");
  const section = text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((row) => row.split(" | ")[0]).join(" ");
}

test("the migration page has a row for each flag of the original", () => {
  const told = cells("Flags");
  expect(flags.filter((name) => !told.includes(`\`--${name}\``))).toEqual([]);
  expect(letters.filter((letter) => !told.includes(`\`-${letter}\``))).toEqual([]);
});

test("the migration page has a row for each variable of the original", () => {
  const told = cells("Variables");
  expect(variables.filter((name) => !told.includes(`\`${name}\``))).toEqual([]);
});
