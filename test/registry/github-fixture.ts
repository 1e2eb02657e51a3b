import { HttpClient } from "../../src/http/client.ts";
import { type Log, silentLog } from "../../src/log.ts";
import { readGithubEnvironment } from "../../src/registry/github/environment.ts";
import { openGithub } from "../../src/registry/github/registry.ts";
import { parseGithubUrl } from "../../src/registry/github/url.ts";
import type { SelectPolicy } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { FakeClock } from "../support/clock.ts";
import { type GithubServer, type GithubServerOptions, startGithub } from "../support/github-server.ts";
import { contractPlatform } from "./contract.ts";

export const c = { signal: new AbortController().signal };
export const stable: SelectPolicy = { scheme: semverScheme(null), preRelease: false, slot: null };
export const files = { "app_linux_amd64.tar.gz": "bytes of the app" };

/** The registry and the source as drivers.ts opens them. */
export function openOn(
  gh: GithubServer,
  env: Record<string, string> = { GH_TOKEN: "t" },
  options: { policy?: SelectPolicy; clock?: FakeClock; log?: Log; query?: string } = {},
) {
  const { policy = stable, clock = new FakeClock(), log = silentLog, query = "" } = options;
  return openGithub(parseGithubUrl(new URL(gh.registryUrl + query)), {
    policy,
    platform: contractPlatform,
    http: new HttpClient({ clock, log, userAgent: "dewy/0" }),
    clock,
    log,
    environment: readGithubEnvironment({ GITHUB_API_URL: gh.url, ...env }),
  });
}

/** A GitHub that accepts the token `t`. */
export function start(options: GithubServerOptions = {}) {
  return startGithub({ tokens: ["t"], ...options });
}
