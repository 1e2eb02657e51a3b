import type { CommandHandlers } from "../../src/cli/dispatch.ts";
import { type CliIo, runCli } from "../../src/cli/root.ts";
import type { AgentConfig } from "../../src/config/config.ts";

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  /** Lines on stderr. */
  readonly errors: readonly string[];
  /** What was handed to the command; null when none ran. */
  readonly ran: { readonly command: string; readonly options: unknown } | null;
}

type Changes = Partial<Omit<CliIo, "commands">> & { readonly commands?: Partial<CommandHandlers> };

/** Runs the command line as main.ts does, with commands that only say what they were given. */
export async function dewy(argv: readonly string[], changes: Changes = {}): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  let ran: CliResult["ran"] = null;
  const record = (command: string) => async (options: unknown) => {
    ran = { command, options };
    return 0;
  };
  const commands: CommandHandlers = {
    agent: (config) => record(config.command)(config),
    listContainers: record("container list"),
    operator: record("operator"),
    completion: record("completion"),
    print: (text) => io.stdout(text),
    checkUrls: () => [],
    ...changes.commands,
  };
  const io: CliIo = {
    env: {},
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    ...changes,
    commands,
  };
  const code = await runCli(argv, io);
  return { code, stdout, errors: stderr.split("\n").slice(0, -1), ran };
}

/** The configuration the arguments make; throws with what was said when they make none. */
export async function configOf(argv: readonly string[], env: CliIo["env"] = {}): Promise<AgentConfig> {
  let config: AgentConfig | null = null;
  const take = async (given: AgentConfig) => {
    config = given;
    return 0;
  };
  const { errors } = await dewy(argv, { env, commands: { agent: take } });
  if (config === null) throw new Error(errors.join("\n"));
  return config;
}
