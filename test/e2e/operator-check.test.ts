import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { closedWindow } from "../support/closed-window.ts";
import { runDewy } from "../support/dewy.ts";
import { TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

test("a check without an agent is by the file that the next agent would read", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const toml = (lines: readonly string[]) => writeFileSync(join(host.root, "dewy.toml"), lines.join("\n"));
  const check = async (...args: string[]) => runDewy(["check", ...args, "--json"], { cwd: host.scratch });
  expect(JSON.parse((await check("--root", host.root)).stdout).error.message).toContain("nobody knows");
  toml([`registry = "file://\${REGISTRY}"`, 'min-age = "2h"', 'interval = "30s"']);
  const env = { REGISTRY: host.registry };
  const asked = await runDewy(["check", "--root", host.root, "--json"], { env });
  expect(JSON.parse(asked.stdout)).toMatchObject({
    newest: "v1.0.0",
    wouldDeploy: false,
    reason: expect.stringContaining("--min-age"),
    source: join(host.root, "dewy.toml"),
  });
  const seen: (string | null)[] = [];
  await using github = serveOnLoopback((request) => {
    seen.push(request.headers.get("Authorization"));
    return new Response("[]", { headers: { "Content-Type": "application/json" } });
  });
  const api = `http://127.0.0.1:${github.port}`;
  toml([
    'registry = "ghr://owner/repo"',
    "[env]",
    'GH_TOKEN = "plantedFileToken"',
    `GITHUB_API_URL = "${api}"`,
  ]);
  await check("--root", host.root);
  expect(seen[0]).toContain("plantedFileToken");
  const other = join(host.scratch, "other.toml");
  writeFileSync(other, `root = "${host.root}"\nregistry = "file://${host.registry}"\n`);
  const { stdout, code } = await runDewy(["check", "--config", other]);
  expect(code).toBe(0);
  expect(stdout).toEndWith(
    `Current    nothing deployed\nDeploy     yes: v1.0.0 is to be deployed\nAsked      from here, as ${other} says\n`,
  );
  // The agent is where the file says.
  expect(JSON.parse((await check("--config", other)).stdout)).toMatchObject({
    root: host.root,
    source: other,
  });
  toml(['registry = "nonsense"', 'min-age = "99999999h"']);
  const bad = await runDewy(["check", "--root", host.root]);
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain(`${join(host.root, "dewy.toml")}: registry`);
  expect(bad.stderr).toContain("min-age");
}, 30_000);

test("a check by a file that is named is from here, though an agent runs", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0");
  const agent = host.assets();
  await agent.logged("Deploy done");
  await until("it answers", async () => (await runDewy(["check", "--root", host.root])).code === 0);
  const file = join(host.scratch, "agent.toml");
  // What only the agent's unit has is no hindrance.
  const lines = [
    `root = "${host.root}"`,
    `registry = "file://${host.registry}"`,
    `window = "${closedWindow}"`,
  ];
  writeFileSync(file, [...lines, "[env]", `SLACK_TOKEN = "\${SLACK}"`].join("\n"));
  await runDewy(["hold", "--root", host.root]);
  host.publish("v1.1.0");
  const { stdout, code } = await runDewy(["check", "--config", file], { cwd: host.scratch });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Newest +v1\.1\.0\nCurrent +v1\.0\.0\nDeploy +no: /);
  expect(stdout).toEndWith(`Asked      from here, as ${file} says\n`);
  const missing = await runDewy(["check", "--config", `${file}.old`], { cwd: host.root });
  expect(missing).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(`${file}.old`) });
}, 60_000);

function serveOnLoopback(fetch: (request: Request) => Response) {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) };
}
