import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ProcessStat, processIds, processStat } from "../../src/util/procfs.ts";
import { RunningDewy } from "../support/dewy.ts";
import { demoApp, TestHost } from "../support/host.ts";
import { until } from "../support/until.ts";

const orphans = 30;

/** Leaves processes behind whose parent has gone, each of which says when it ends. */
const app = `#!/bin/sh
for i in $(seq ${orphans}); do sh -c '(sleep 0.2; echo over >>"$DEWY_ROOT/over") >/dev/null 2>&1 &'; done
exec ${process.execPath} ./current/app.ts
`;

function childrenOf(parent: number): ProcessStat[] {
  return processIds()
    .flatMap((pid) => processStat(pid) ?? [])
    .filter(({ ppid }) => ppid === parent);
}

test("as pid 1 the agent takes note of every process left behind, and of how its own ended", async () => {
  await using host = new TestHost();
  host.publish("v1.0.0", { ...demoApp("v1.0.0"), "app.sh": app });
  const flags = [...host.flags(), "--port", `${host.port}`, "--min-uptime", "300ms"];
  await using namespace = new RunningDewy(
    ["server", ...flags, "--after-deploy-hook", "(sleep 0.1 &); exit 7", "--", "./current/app.sh"],
    { through: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"] },
  );
  // unshare ignores SIGTERM; what it has started ends with it.
  await using _ = { [Symbol.asyncDispose]: async () => void (await namespace.stop("SIGKILL")) };
  const agent = await until("the agent runs", () => childrenOf(namespace.pid)[0]?.pid);
  await host.serves("v1.0.0");
  await namespace.logged("After deploy hook failure", { exit_code: 7 });
  const over = join(host.root, "over");
  await until("all have ended", () => existsSync(over) && lines(over) === orphans);
  await until("none is left", () => childrenOf(agent).every(({ state }) => state !== "Z"));
  // Its death is noticed: nothing has taken it from the agent.
  const served = childrenOf(agent).filter(({ state }) => state !== "Z");
  expect(served).toHaveLength(1);
  process.kill(served[0]?.pid ?? 0, "SIGKILL");
  await namespace.logged("Server died", { error: "the server was killed by SIGKILL" });
  await host.serves("v1.0.0");
  process.kill(agent, "SIGTERM");
  await until("the namespace is over", () => !namespace.running);
  expect(await namespace.stop()).toBe(0);
}, 90_000);

function lines(path: string): number {
  return readFileSync(path, "utf8").split("\n").length - 1;
}
