import { join } from "node:path";
import type { SupervisorOptions } from "../../src/supervisor/supervisor.ts";
import { commandName, environment } from "../../src/util/procfs.ts";
import type { AppHost } from "./app-host.ts";
import { until } from "./until.ts";

/** Runs an agent on a release, kills it, and answers the pid of the app it left. */
export async function killedAgent(
  host: AppHost,
  release: string,
  changes: Partial<SupervisorOptions> = {},
): Promise<number> {
  host.switchTo(release);
  const script = join(import.meta.dir, "doomed-agent.ts");
  const options = JSON.stringify(host.options(changes));
  const agent = Bun.spawn([process.execPath, script, options, host.record.path, release], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { value } = await agent.stdout.getReader().read();
  const pid = Number(new TextDecoder().decode(value));
  if (!pid) throw new Error("the agent did not start its app");
  // Until then it reads its script, through `current`.
  await until(
    "the app has begun",
    () => !["app", "sh"].includes(commandName(pid)) && environment(pid).size > 0,
  );
  agent.kill("SIGKILL");
  await agent.exited;
  return pid;
}
