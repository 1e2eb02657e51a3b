import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dewyBinary, runDewy } from "../support/dewy.ts";
import { TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

test("a host with nothing to go back to refuses, and says what would do", async () => {
  await using host = new TestHost();
  const agent = host.assets();
  await agent.logged("Dewy started");
  await until("it answers", async () => (await runDewy(["status", "--root", host.root])).code === 0);
  expect(await runDewy(["restart", "--root", host.root])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Error: nothing is deployed here yet\n"),
  });
  host.publish("v1.0.0");
  await agent.logged("Deploy done");
  const { code, stdout, stderr } = await runDewy(["rollback", "--root", host.root]);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toEndWith(
    "Error: no earlier release is kept on this host\nHint: name one of the registry: `dewy rollback TAG`\n",
  );
}, 30_000);

test("who interrupts a deploy leaves it to the agent", async () => {
  await using host = new TestHost();
  const go = join(host.scratch, "go");
  writeFileSync(go, "");
  host.publish("v1.0.0");
  const agent = host.assets(["--before-deploy-hook", `until [ -e '${go}' ]; do sleep 0.05; done`]);
  await agent.logged("Deploy done");
  expect((await runDewy(["hold", "--root", host.root])).code).toBe(0);
  rmSync(go);
  host.publish("v1.1.0");
  const deploy = Bun.spawn([dewyBinary, "deploy", "v1.1.0", "--root", host.root], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = new Response(deploy.stderr).text();
  const busy = await until("the deploy is under way", async () => {
    const { stdout } = await runDewy(["status", "--root", host.root]);
    return /^Busy .*$/m.exec(stdout)?.[0];
  });
  expect(busy).toContain("v1.1.0");
  deploy.kill("SIGINT");
  expect(await deploy.exited).toBe(130);
  expect(await said).toContain("what the agent has begun goes on");
  expect(host.current()).toBe("v1.0.0");
  writeFileSync(go, "");
  await until("the deploy is done", () => host.current() === "v1.1.0");
});
