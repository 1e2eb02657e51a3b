import { writeSync } from "node:fs";
import type { CommandHandlers } from "./cli/dispatch.ts";
import { runCli } from "./cli/root.ts";
import { takeManagerAddress } from "./service-manager/address.ts";
import { writePatiently } from "./util/output.ts";
import { exemptOwnMachine } from "./util/proxies.ts";

const stdoutPatienceMs = 60 * 60_000;

/** Whoever asks for something gets all of it, through a pager too. */
const stdout = (text: string) => writePatiently(1, text, stdoutPatienceMs);
const stderr = (text: string) => {
  try {
    writeSync(2, text);
    return true;
  } catch {
    // Nobody reads it (EPIPE) or can take it now (EAGAIN): no reason to stop serving.
    return false;
  }
};
const manager = takeManagerAddress(process.env, process.pid);
/** As it was given, but for what only dewy's own service manager may be told by: an app gets it so. */
const env = { ...process.env };
exemptOwnMachine(process.env);

/** Arguments → exit code. Commands are loaded when they are asked for: `--version` needs none of them. */
const commands: CommandHandlers = {
  agent: async (config, start) => {
    exportVariables(start.variables);
    return (await import("./cli/run/run.ts")).runAgent(config, {
      ...start,
      env,
      ownEnv: start.env,
      manager,
      stderr,
    });
  },
  listContainers: async (options) =>
    (await import("./cli/operator/container-list.ts")).showContainers(options, stdout, stderr),
  operator: async (request, watched) =>
    (await import("./cli/operator/run.ts")).runOnTerminal(request, { env, stdout, stderr, watched }),
  completion: async (shell) => (await import("./cli/completion/completion.ts")).showCompletion(shell, stdout),
  checkUrls: async (urls, own) => (await import("./drivers/check.ts")).urlChecker(own)(urls),
  print: stdout,
};

/** Clients of S3, Google and others read this process's environment by themselves. An app doesn't get it. */
function exportVariables(variables: ReadonlyMap<string, string>): void {
  for (const [name, value] of variables) process.env[name] = value;
  if (variables.has("NO_PROXY")) exemptOwnMachine(process.env);
}

const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
void runCli(process.argv.slice(2), { env, stdout, stderr, commands, columns }).then((code) =>
  process.exit(code),
);
