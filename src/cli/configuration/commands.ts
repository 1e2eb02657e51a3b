import { resolve } from "node:path";
import { type Problem, problemText } from "../../config/problem.ts";
import type { CommandName } from "../arguments/commands.ts";
import { type LoadOptions, loadAgentConfig } from "./agent-config.ts";
import {
  type AgentCommand,
  agentCommands,
  type ConfigFile,
  findConfigFile,
  isAgentCommand,
  type Layers,
} from "./layers.ts";
import { shownConfig, shownConfigJson } from "./show.ts";

type ConfigCommand = "config check" | "config show";

type Outcome = { readonly exitCode: number } | { readonly problems: readonly Problem[] };

export function isConfigCommand(command: CommandName): command is ConfigCommand {
  return command === "config check" || command === "config show";
}

/** Reads all that an agent would, and starts none. */
export async function runConfigCommand(
  command: ConfigCommand,
  options: LoadOptions,
  print: (text: string) => void,
): Promise<Outcome> {
  const { tokens, env } = options;
  const file = findConfigFile(tokens, env);
  if (tokens.problems.length > 0) return { problems: tokens.problems };
  if (file === null && command === "config check")
    return { problems: [missing(tokens.values.get("root")?.[0])] };
  const agent = tokens.argument ?? file?.command ?? null;
  if (!isAgentCommand(agent)) {
    if (file?.unreadable === true) return { problems: file.problems };
    return { problems: [...(file?.problems ?? []), unknownCommand(file)] };
  }
  const line = { ...tokens, command: agent };
  const loaded = await loadAgentConfig(agent, { ...options, tokens: line }, file);
  const problems = "problems" in loaded ? loaded.problems : [];
  const wrong = command === "config show" ? problems.filter(isNoLack(loaded.layers)) : problems;
  if (wrong.length > 0) return { problems: wrong };
  const json = tokens.values.get("json")?.[0] === "true";
  if (command === "config check") print(verdict(agent, loaded.layers.file, json));
  else print(json ? shownConfigJson(agent, loaded.layers) : shownConfig(agent, loaded.layers));
  return { exitCode: 0 };
}

/** What is shown may well be completed by the command line of the agent. */
function isNoLack({ tokens }: Layers) {
  return ({ about }: Problem) =>
    about !== "appCommand" && !(about === "registry" && !tokens.values.has("registry"));
}

function missing(root = "."): Problem {
  return {
    message: `there is no dewy.toml in ${resolve(root)}`,
    hint: "write one, or name a file with --config",
  };
}

function unknownCommand(file: ConfigFile | null): Problem {
  const words = agentCommands.join("|");
  if (file === null)
    return { message: "nobody says which agent it is about", hint: `write dewy config show ${words}` };
  const { path, command } = file;
  return command === null
    ? {
        message: `${path} does not say which agent it is for`,
        hint: `write command = "server", or dewy config check ${words}`,
      }
    : { message: `${path}: command is "${command}"`, hint: `write ${agentCommands.join(", ")}` };
}

function verdict(command: AgentCommand, file: ConfigFile | null, json: boolean): string {
  const { path = null, warnings = [] } = file ?? {};
  if (json) return `${JSON.stringify({ file: path, command, warnings })}\n`;
  const remarks = warnings.map((warning) => `Warning: ${problemText({ message: warning })}\n`);
  return `${remarks.join("")}${path} is fine for dewy ${command}\n`;
}
