import { writeSync } from "node:fs";
import type { CommandHandlers } from "./cli/dispatch.ts";
import { runCli } from "./cli/root.ts";
import { exemptOwnMachine } from "./util/proxies.ts";

/** Arguments → exit code. Commands are loaded when they are asked for: `--version` needs none of them. */
function write(fd: 1 | 2): (text: string) => void {
  return (text) => {
    try {
      writeSync(fd, text);
    } catch {
      // Nobody reads it (EPIPE) or can take it now (EAGAIN): no reason to stop serving.
    }
  };
}

const stdout = write(1);
const stderr = write(2);
/** As it was given: an app gets it so. */
const env = { ...process.env };
exemptOwnMachine(process.env);

const commands: CommandHandlers = {
  agent: async (config) => (await import("./cli/run.ts")).runAgent(config, { env, stderr }),
  listContainers: async (options) =>
    (await import("./cli/container-list.ts")).showContainers(options, stdout, stderr),
  status: async ({ root, json }) => (await import("./cli/operator.ts")).showStatus(root, json, stdout),
  retry: async ({ root }) => (await import("./cli/operator.ts")).requestRetry(root, stdout),
  checkUrls: async (urls) => (await import("./drivers/check.ts")).urlChecker(env)(urls),
};

const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
void runCli(process.argv.slice(2), { env, stdout, stderr, commands, columns }).then((code) =>
  process.exit(code),
);
