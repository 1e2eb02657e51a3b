import { expect, test } from "bun:test";
import { runDewy } from "../support/dewy.ts";
import { Proxied } from "../support/proxied.ts";
import { until } from "../support/until.ts";

const checks = ["--health-path", "/up", "--health-interval", "500ms", "--health-timeout", "10m"];

async function statusOf(host: Proxied) {
  const { code, stdout } = await runDewy(["status", "--root", host.root, "--json"]);
  return { code, status: JSON.parse(stdout) };
}

/** v1 serves, and the first process of a v2 that never answers is being checked. */
async function checkingOneThatHangs(host: Proxied, flags: readonly string[]) {
  const agent = await host.serving("v1.0.0", [...checks, ...flags]);
  const old = host.pids;
  host.publishMode("v2.0.0", "hang");
  await until("the new one runs", () => host.pids.length > old.length);
  return { agent, old, fresh: host.pids.filter((pid) => !old.includes(pid)) };
}

test("the only process that serves is started again at once though a hanging release is being checked", async () => {
  await using host = new Proxied();
  const { agent, old, fresh } = await checkingOneThatHangs(host, ["--replicas", "1"]);
  const killedMs = performance.now();
  process.kill(old[0] ?? 0, "SIGKILL");
  await until("it is gone", async () => !(await host.ask()).endsWith(` ${old[0]}`));
  await host.serves("v1.0.0");
  console.log(`serves again after ${Math.round(performance.now() - killedMs)} ms`);
  const reason =
    /^no process that serves was left while the new version was checked: \S+ exited with code 137: was killed by SIGKILL$/;
  await until("it is recorded", () => host.history().at(-1)?.tag === "v2.0.0");
  expect(host.history().at(-1)).toMatchObject({ tag: "v2.0.0", result: "failed" });
  expect(host.history().at(-1)?.error ?? "").toMatch(reason);
  expect(host.state()).toMatchObject({ quarantine: [], failure: { tag: "v2.0.0", count: 1 } });
  const { code, status } = await until("all is well", async () => {
    const seen = await statusOf(host);
    return seen.status.app.kind === "serving" && seen.status.containers.length === 1 && seen;
  });
  expect({ code, health: status.health, quarantine: status.quarantine }).toEqual({
    code: 0,
    health: "well",
    quarantine: [],
  });
  expect(status.failure.lastError).toMatch(reason);
  expect(agent.output).not.toContain("engine");
  await until(
    "it is tried again",
    () => host.pids.length === 2 && !host.pids.includes(fresh[0] ?? 0),
    60_000,
  );
}, 120_000);

test("one of several is made good after the update; what is left serves, and the status tells of it", async () => {
  await using host = new Proxied();
  const { agent, old } = await checkingOneThatHangs(host, ["--replicas", "2"]);
  process.kill(old[0] ?? 0, "SIGKILL");
  const seen = await until("the status tells", async () => {
    const now = await statusOf(host);
    return now.status.app.inRotation === 1 && now;
  });
  expect(seen).toMatchObject({ code: 0, status: { app: { kind: "serving", replicas: 2 } } });
  expect(seen.status.trouble).toBe("it exited with code 137: was killed by SIGKILL");
  expect(seen.status.busy.with).toContain("v2.0.0");
  expect(await host.ask()).toBe(`v1.0.0 ${old[1]}`);
  await agent.stop();
}, 120_000);

test("the only process that hangs is no good state, also while a release is being checked", async () => {
  await using host = new Proxied();
  const { old } = await checkingOneThatHangs(host, ["--replicas", "1"]);
  process.kill(old[0] ?? 0, "SIGSTOP");
  const down = await until(
    "the status tells",
    async () => {
      const now = await statusOf(host);
      return now.status.health === "down" && now;
    },
    60_000,
  );
  expect(down).toMatchObject({ code: 4, status: { app: { kind: "down" } } });
  expect(down.status.app.reason).toContain("/up: no answer");
  process.kill(old[0] ?? 0, "SIGCONT");
  await until("it serves", async () => (await statusOf(host)).code === 0);
}, 120_000);
