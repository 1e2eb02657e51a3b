/** What an agent costs when nothing happens: CPU of `--version`, memory of an idle server agent on GitHub Releases. */
import { dewyBinary } from "../support/dewy.ts";
import { startGithub } from "../support/github-server.ts";
import { TestHost } from "../support/host.ts";
import { memoryOf } from "../support/memory.ts";

const runs = 50;

function versionCpuMs(): number[] {
  const times = Array.from({ length: runs }, () => {
    const { resourceUsage } = Bun.spawnSync([dewyBinary, "--version"]);
    return Number(resourceUsage.cpuTime.total) / 1000;
  });
  return times.sort((a, b) => a - b);
}

const cpu = versionCpuMs();
console.log(
  `dewy --version: ${cpu[runs / 2]?.toFixed(1)} ms CPU (median of ${runs}), ${cpu.at(-1)?.toFixed(1)} ms worst`,
);

await using gh = await startGithub({ tokens: ["bench"] });
await using host = new TestHost();
const archive = await Bun.file(host.archive("v1.0.0")).bytes();
gh.publish({ tag: "v1.0.0", files: { "app_linux_amd64.tar.gz": archive } });
const app = ["--port", `${host.port}`, "--", process.execPath, "./current/app.ts"];
const flags = ["--root", host.root, "--registry", gh.registryUrl, "--interval", "1s", "--log-level", "info"];
const agent = host.start(["server", ...flags, ...app], { GITHUB_API_URL: gh.url, GH_TOKEN: "bench" });
await agent.logged("Start notification");
await Bun.sleep(30_000);
console.log(`idle server agent on GitHub Releases, after 30 polls: ${memoryOf(agent.pid)}`);
