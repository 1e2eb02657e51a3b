import { describe, expect, test } from "bun:test";
import { cloudServers } from "../../support/cloud-servers.ts";
import { type GithubServer, startGithub } from "../../support/github-server.ts";
import { TestHost } from "../../support/host.ts";
import { until } from "../../support/until.ts";

const artifact = "app_linux_amd64.tar.gz";
const schemes = ["s3", "gs", "redis", "consul"] as const;

async function publish(github: GithubServer, host: TestHost, tag: string): Promise<void> {
  github.publish({ tag, files: { [artifact]: await Bun.file(host.archive(tag)).bytes() } });
}

/** Several hosts that watch one repository and share one cache. */
class Fleet implements AsyncDisposable {
  readonly hosts: readonly TestHost[];
  readonly agents;

  constructor(github: GithubServer, size: number, cache: string, env: Readonly<Record<string, string>>) {
    this.hosts = Array.from({ length: size }, () => new TestHost());
    this.agents = this.hosts.map((host) =>
      host.start(
        [
          "assets",
          "--root",
          host.root,
          "--registry",
          github.registryUrl,
          "--interval",
          "1s",
          "--cache",
          cache,
        ],
        { GITHUB_API_URL: github.url, GH_TOKEN: "planted-token", ...env },
      ),
    );
  }

  async at(tag: string): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.logged("Deploy done", { tag })));
    expect(this.hosts.map((host) => host.current())).toEqual(this.hosts.map(() => tag));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.hosts.map((host) => host[Symbol.asyncDispose]()));
  }
}

describe.each(schemes)("hosts that share a cache on %s://", (scheme) => {
  test("download a new release once, and ask the registry once a window", async () => {
    await using cloud = await cloudServers[scheme]();
    await using github = await startGithub({ tokens: ["planted-token"] });
    await using maker = new TestHost();
    await publish(github, maker, "v1.0.0");
    const url = cloud.url("fleet");
    const cache = `${url}${url.includes("?") ? "&" : "?"}registry-ttl=3s`;
    await using fleet = new Fleet(github, 5, cache, cloud.env());
    await fleet.at("v1.0.0");
    expect(github.assets.requests).toHaveLength(1);
    const asked = () => github.requests.filter(({ path }) => /\/releases(\?|$)/.test(path)).length;
    const before = { asked: asked(), atMs: performance.now() };
    await publish(github, maker, "v1.1.0");
    await fleet.at("v1.1.0");
    await until("three more windows", () => asked() >= before.asked + 3);
    const windows = (performance.now() - before.atMs) / 3000;
    expect(asked() - before.asked).toBeLessThanOrEqual(Math.ceil(windows) + 1);
    expect(github.assets.requests).toHaveLength(2);
    for (const agent of fleet.agents) {
      expect(await agent.stop()).toBe(0);
      expect(agent.errors()).toEqual([]);
      expect(agent.output).not.toContain("planted-minio-secret");
    }
  }, 180_000);
});
