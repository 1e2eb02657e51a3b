/** An agent that kills itself with SIGKILL at one step of a deploy: `bun dying-agent.ts STEP server …`. */
import { writeSync } from "node:fs";
import type { CommandHandlers } from "../../src/cli/dispatch.ts";
import { runCli } from "../../src/cli/root.ts";
import { runAgent } from "../../src/cli/run/run.ts";
import type { AgentConfig } from "../../src/config/config.ts";
import { urlChecker } from "../../src/drivers/check.ts";

const [step, ...argv] = process.argv.slice(2);
const { env } = process;
const stdout = (text: string) => void writeSync(1, text);
const stderr = (text: string) => void writeSync(2, text);
const agent = (config: AgentConfig) =>
  runAgent(config, {
    env,
    stderr,
    onStep: (passed) => {
      if (passed === step) process.kill(process.pid, "SIGKILL");
    },
  });
const commands: CommandHandlers = {
  agent,
  listContainers: async () => 0,
  operator: async () => 0,
  completion: async () => 0,
  print: stdout,
  checkUrls: urlChecker(env),
};
void runCli(argv, { env, stdout, stderr, commands }).then((code) => process.exit(code));
