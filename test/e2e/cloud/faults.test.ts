import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { bucketServers, type CloudServer, cloudServers } from "../../support/cloud-servers.ts";
import { type GithubServer, startGithub } from "../../support/github-server.ts";
import { TestHost } from "../../support/host.ts";
import { startToxiproxy, type Proxy as Wire } from "../../support/toxiproxy.ts";

const artifact = "app_linux_amd64.tar.gz";
/** A server that is silent is noticed at a deadline. */
const patienceMs = 120_000;
const full = process.env["DEWY_FULL"] === "1";
/** Larger than what lies in the buffers between two processes, so that a cut is in the middle. */
const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(3_000_000))).toString("base64");

interface Harm {
  readonly name: string;
  begin(proxy: Wire, cloud: CloudServer): Promise<void>;
  end(proxy: Wire, cloud: CloudServer): Promise<void>;
}

const heal = (proxy: Wire) => proxy.cut().then(() => proxy.clear());

const harms: readonly Harm[] = [
  {
    name: "killed",
    begin: (_, { server }) => server.stop(),
    end: (_, { server }) => server.restart(),
  },
  {
    name: "paused",
    begin: async (_, { server }) => server.pause(),
    end: async (_, { server }) => server.resume(),
  },
  {
    name: "cut after some bytes of each answer",
    begin: (proxy) => proxy.toxic("limit_data", { bytes: 20_000 }, "downstream"),
    end: heal,
  },
  {
    name: "cut after some bytes of each request",
    begin: (proxy) => proxy.toxic("limit_data", { bytes: 20_000 }, "upstream"),
    end: heal,
  },
  {
    name: "reset",
    begin: (proxy) => proxy.toxic("reset_peer", { timeout: 0 }, "downstream"),
    end: heal,
  },
  {
    name: "slow",
    begin: (proxy) => proxy.toxic("bandwidth", { rate: 500 }, "downstream"),
    // It stays slow: what is on its way arrives all the same.
    end: async () => undefined,
  },
  { name: "unreachable", begin: (proxy) => proxy.disable(), end: (proxy) => proxy.enable() },
];

const app = (tag: string) => ({ VERSION: `${tag}\n`, noise: `${tag}${noise}` });

/** Of one host: nothing half-made may be left, and what is in place is what was published. */
function expectWhole(host: TestHost, tag: string): void {
  expect(host.current()).toBe(tag);
  expect(readdirSync(join(host.root, "releases")).filter((name) => name.startsWith("."))).toEqual([]);
  expect(host.state().quarantine).toEqual([]);
}

describe.each(["s3", "gs"] as const)("a registry on %s:// that is", (scheme) => {
  test.concurrent.each(harms.map((harm) => [harm.name, harm] as const))(
    "%s while releases come: no half deploy, and the newest in the end",
    async (_, harm) => {
      await using cloud = await bucketServers[scheme]();
      await using toxiproxy = await startToxiproxy();
      await using proxy = await toxiproxy.proxyTo(`127.0.0.1:${cloud.server.port}`);
      await using host = new TestHost();
      const publish = async (tag: string) =>
        cloud.upload(`app/${tag}/${artifact}`, await Bun.file(host.archive(tag, app(tag))).bytes());
      await publish("v1.0.0");
      const flags = ["--registry", cloud.url("app", proxy.address), "--interval", "1s"];
      const agent = host.start(["assets", "--root", host.root, ...flags], { ...cloud.env(proxy.address) });
      await agent.logged("Deploy done", { tag: "v1.0.0" }, patienceMs);
      for (let round = 1; round <= (full ? 5 : 1); round++) {
        const tag = `v1.${round}.0`;
        await publish(tag);
        await harm.begin(proxy, cloud);
        await Bun.sleep(1500 + 400 * round);
        expect(["v1.0.0", `v1.${round - 1}.0`, tag]).toContain(host.current());
        await harm.end(proxy, cloud);
        await agent.logged("Deploy done", { tag }, patienceMs);
        expectWhole(host, tag);
      }
      expect(await agent.stop()).toBe(0);
    },
    full ? 900_000 : 400_000,
  );
});

describe.each(["s3", "gs", "redis", "consul"] as const)("a shared cache on %s:// that is", (scheme) => {
  test.concurrent.each(harms.map((harm) => [harm.name, harm] as const))(
    "%s while releases come: the registry serves instead, and nothing damaged stays in the cache",
    async (_, harm) => {
      await using cloud = await cloudServers[scheme]();
      await using github = await startGithub({ tokens: ["planted-token"] });
      await using toxiproxy = await startToxiproxy();
      await using proxy = await toxiproxy.proxyTo(`127.0.0.1:${cloud.server.port}`);
      await using host = new TestHost();
      await publish(github, host, "v1.0.0");
      const agent = start(host, github, cloud, proxy.address);
      await agent.logged("Deploy done", { tag: "v1.0.0" }, patienceMs);
      const rounds = full ? 5 : 1;
      for (let round = 1; round <= rounds; round++) {
        await publish(github, host, `v1.${round}.0`);
        await harm.begin(proxy, cloud);
        await agent.logged("Deploy done", { tag: `v1.${round}.0` }, patienceMs);
        expectWhole(host, `v1.${round}.0`);
        await harm.end(proxy, cloud);
      }
      expect(agent.errors()).toEqual([]);
      // Whatever the harm left in the cache, another host gets the right bytes from there or from the registry.
      await using other = new TestHost();
      await using second = start(other, github, cloud, cloud.server.port);
      await second.logged("Deploy done", { tag: `v1.${rounds}.0` }, patienceMs);
      expectWhole(other, `v1.${rounds}.0`);
      expect(await agent.stop()).toBe(0);
    },
    full ? 900_000 : 400_000,
  );
});

async function publish(github: GithubServer, host: TestHost, tag: string): Promise<void> {
  github.publish({ tag, files: { [artifact]: await Bun.file(host.archive(tag, app(tag))).bytes() } });
}

function start(host: TestHost, github: GithubServer, cloud: CloudServer, at: string | number) {
  const address = typeof at === "number" ? `127.0.0.1:${at}` : at;
  const url = cloud.url("cache", address);
  const cache = `${url}${url.includes("?") ? "&" : "?"}registry-ttl=1s`;
  const flags = ["--registry", github.registryUrl, "--cache", cache, "--interval", "1s"];
  return host.start(["assets", "--root", host.root, ...flags], {
    GITHUB_API_URL: github.url,
    GH_TOKEN: "planted-token",
    ...cloud.env(address),
  });
}
