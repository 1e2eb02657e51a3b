import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type RunningDewy, runDewy } from "../support/dewy.ts";
import { type GithubServer, startGithub } from "../support/github-server.ts";
import { type AppFiles, demoCommand, TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

const token = "ghp_plantedSecretToken";
const artifact = "app_linux_amd64.tar.gz";

async function publish(github: GithubServer, host: TestHost, tag: string, files?: AppFiles): Promise<void> {
  github.publish({ tag, files: { [artifact]: await Bun.file(host.archive(tag, files)).bytes() } });
}

function serve(
  github: GithubServer,
  host: TestHost,
  env: Record<string, string> = { GH_TOKEN: token },
): RunningDewy {
  const flags = [
    "--root",
    host.root,
    "--registry",
    github.registryUrl,
    "--interval",
    "1s",
    "--min-uptime",
    "200ms",
  ];
  return host.start(["server", ...flags, "--port", `${host.port}`, "--", ...demoCommand], {
    GITHUB_API_URL: github.url,
    ...env,
  });
}

describe("GitHub Releases", () => {
  test("from an empty host to the next version, reported, the token never leaving the API", async () => {
    await using github = await startGithub({ tokens: [token] });
    await using host = new TestHost();
    await publish(github, host, "v1.0.0");
    const agent = serve(github, host);
    await host.serves("v1.0.0");
    await publish(github, host, "v1.1.0");
    await host.serves("v1.1.0");
    const [report] = await until(
      "the report",
      () => github.reports("v1.1.0").length > 0 && github.reports("v1.1.0"),
    );
    expect(report?.name).toMatch(/^shipped_to_.+_server_at_\d{8}T\d{6}\.\d{9}Z\.txt$/);
    expect(JSON.parse(report?.body ?? "")).toMatchObject({
      tag: "v1.1.0",
      from: "v1.0.0",
      result: "deployed",
    });

    expect(github.requests.some((request) => request.headers.get("authorization") !== null)).toBe(true);
    expect(github.assets.requests.filter((request) => request.headers.get("authorization") !== null)).toEqual(
      [],
    );
    const polled = () => github.requests.filter((request) => request.status === 304).length;
    const before = polled();
    await until("idle polls that cost a 304", () => polled() > before + 1);
    expect(await agent.stop()).toBe(0);
    expect(agent.errors()).toEqual([]);
    expect(agent.output).not.toContain(token);
    expect(agent.output).not.toContain("secret-signature");
  }, 120_000);

  test("a download that is cut is resumed", async () => {
    await using github = await startGithub({ tokens: [token] });
    await using host = new TestHost();
    const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString("base64");
    const big = { "app.sh": "#!/bin/sh\nexec sleep 1000\n", noise: noise.repeat(40) };
    github.assets.fail({ cutAfter: 400_000 }, { times: 2 });
    await publish(github, host, "v1.0.0", big);
    const flags = ["--root", host.root, "--registry", github.registryUrl, "--interval", "1s"];
    const agent = host.start(["assets", ...flags], { GITHUB_API_URL: github.url, GH_TOKEN: token });
    await agent.logged("Deploy done", { tag: "v1.0.0" });
    expect(github.assets.requests.some((request) => request.headers.get("range") !== null)).toBe(true);
    expect(agent.errors()).toEqual([]);
  }, 120_000);

  test("an asset whose bytes are not what GitHub says is refused before it is kept", async () => {
    await using github = await startGithub({ tokens: [token] });
    await using host = new TestHost();
    await publish(github, host, "v1.0.0");
    const agent = serve(github, host);
    await host.serves("v1.0.0");
    const bytes = await Bun.file(host.archive("v2.0.0")).bytes();
    const digests = { [artifact]: `sha256:${"0".repeat(64)}` };
    github.publish({ tag: "v2.0.0", files: { [artifact]: bytes }, digests });
    const { reason } = await agent.logged("Quarantined", { tag: "v2.0.0" });
    expect(reason).toContain("registry digest");
    expect(readdirSync(join(host.root, ".dewy/cache")).filter((name) => name.startsWith("v2"))).toEqual([]);
    expect(host.current()).toBe("v1.0.0");
  }, 120_000);

  test("down at boot and for a while: the app serves at once, few calls are made, updates go on by themselves", async () => {
    await using github = await startGithub({ tokens: [token] });
    await using host = new TestHost();
    await publish(github, host, "v1.0.0");
    const first = serve(github, host);
    await host.serves("v1.0.0");
    await first.logged("Start notification");
    await first.stop();

    github.fail({ reply: { status: 503, body: "<html>unicorn</html>" } }, { times: 3 });
    await publish(github, host, "v1.1.0");
    const agent = serve(github, host);
    await host.serves("v1.0.0");
    await agent.logged("Dewy run failure");
    await host.serves("v1.1.0");
  }, 120_000);

  test("without a token it polls within GitHub's limit, and says so once", async () => {
    await using github = await startGithub({});
    await using host = new TestHost();
    await publish(github, host, "v1.0.0");
    const agent = serve(github, host, {});
    await host.serves("v1.0.0");
    const warning = await agent.logged("GitHub polled without a token");
    expect(Number(warning["interval"])).toBeGreaterThanOrEqual(60e9);
  }, 120_000);

  test("a wrong token is said plainly, without printing it; exit 2", async () => {
    await using github = await startGithub({ tokens: ["another"] });
    await using host = new TestHost();
    const flags = ["--root", host.root, "--registry", github.registryUrl, "--once", "--log-level", "debug"];
    const { code, stderr } = await runDewy(["assets", ...flags], {
      env: { GITHUB_API_URL: github.url, GH_TOKEN: token },
    });
    expect(code).toBe(2);
    expect(stderr).toContain("401");
    expect(stderr).not.toContain(token);
  });

  test("a release young and without its artifact is waited for, an old one is an error", async () => {
    await using github = await startGithub({ tokens: [token] });
    await using host = new TestHost();
    github.publish({ tag: "v1.0.0", files: { "notes.txt": "soon" } });
    const agent = serve(github, host);
    await agent.logged("Artifact not found within grace period", { grace_period: 1_800_000_000_000 });
    await agent.logged("Release has no artifact yet; waiting for it");
    expect(agent.errors()).toEqual([]);
    github.publish({
      tag: "v1.0.1",
      files: { "notes.txt": "never" },
      createdAt: new Date(Date.now() - 3_600_000),
    });
    const { error } = await agent.logged("Dewy run failure");
    expect(error).toContain("release v1.0.1 has no artifact for this host");
    await publish(github, host, "v1.0.2");
    await host.serves("v1.0.2");
  }, 120_000);
});
