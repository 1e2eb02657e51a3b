import { type ArgsDef, type CommandDef, defineCommand, runCommand } from "citty";
import { adminPorts } from "../admin/protocol.ts";
import type { LiveSettings } from "../agent/live.ts";
import type { AgentConfig } from "../config/config.ts";
import type { CheckUrls, Environment, Settings } from "../config/load.ts";
import { type Problem, problemOf } from "../config/problem.ts";
import { wholeFrom } from "../config/values.ts";
import { messageOf } from "../errors.ts";
import { type CommandName, commandNames, commandSpec } from "./arguments/commands.ts";
import type { FlagSpec } from "./arguments/flag-groups/spec.ts";
import { flagsOf } from "./arguments/flags.ts";
import type { Tokens } from "./arguments/tokens.ts";
import { type LoadOptions, loadAgain, loadAgentConfig } from "./configuration/agent-config.ts";
import { isConfigCommand, runConfigCommand } from "./configuration/commands.ts";
import { type AgentCommand, fileVariables, isAgentCommand } from "./configuration/layers.ts";
import { reloadSettings } from "./configuration/reload.ts";
import { placeByFile, readWatched, type Watched } from "./configuration/watched.ts";
import { isOperatorCommand, type OperatorRequest, readOperatorRequest } from "./operator/request.ts";

/** What an agent is started with, beside its configuration. */
export interface AgentStart {
  /** What dewy itself reads: the environment, and the file's variables where it has none. */
  readonly env: Environment;
  /** Those that come from the file. */
  readonly variables: ReadonlyMap<string, string>;
  /** About the file's secrets. */
  readonly warnings: readonly string[];
  /** The file read anew; null: there is none. */
  readonly reload: (() => Promise<LiveSettings>) | null;
}

/** What the commands do; each gives the exit code. main.ts brings them, loading each only when it is called. */
export interface CommandHandlers {
  agent(config: AgentConfig, start: AgentStart): Promise<number>;
  listContainers(options: { readonly ports: readonly number[]; readonly json: boolean }): Promise<number>;
  /** `watched`: what the configuration file of a directory makes an agent watch; null: there is none. */
  operator(request: OperatorRequest, watched: (root: string) => Promise<Watched | null>): Promise<number>;
  completion(shell: string): Promise<number>;
  print(text: string): void;
  /** Which schemes and parameters the URLs may have is for the drivers to say. */
  checkUrls: CheckUrls;
}

/** The command's exit code, or everything that is wrong with how it was called. */
export type Outcome = { readonly exitCode: number } | { readonly problems: readonly Problem[] };

interface Invocation {
  readonly tokens: Tokens;
  readonly env: Environment;
  readonly handlers: CommandHandlers;
}

/** Reads what the command needs and runs it. */
export async function dispatch(command: CommandName, invocation: Invocation): Promise<Outcome> {
  if (isAgentCommand(command)) return runAgentCommand(command, invocation);
  if (isConfigCommand(command))
    return runConfigCommand(command, loadOptions(invocation), invocation.handlers.print);
  return run(command, await settingsOf(command, invocation.tokens), invocation);
}

async function runAgentCommand(command: AgentCommand, invocation: Invocation): Promise<Outcome> {
  const options = loadOptions(invocation);
  const loaded = await loadAgentConfig(command, options);
  if ("problems" in loaded) return { problems: loaded.problems };
  const { config, layers } = loaded;
  const load = () => loadAgain(layers, command, options);
  const start: AgentStart = {
    env: layers.env,
    variables: fileVariables(layers),
    warnings: layers.file?.warnings ?? [],
    reload: layers.file === null ? null : () => reloadSettings(layers, load),
  };
  return { exitCode: await invocation.handlers.agent(config, start) };
}

function loadOptions({ tokens, env, handlers }: Invocation): LoadOptions {
  return { tokens, env, checkUrls: handlers.checkUrls, settingsOf };
}

/** Builds citty's command tree from the table of flags and lets it parse and fill in defaults. */
async function settingsOf(command: CommandName, tokens: Tokens): Promise<Settings> {
  // citty gives back neither a subcommand's result nor hands data down to it.
  let settings: Settings = {};
  const subcommand = (name: CommandName): CommandDef =>
    defineCommand({
      meta: { name, description: commandSpec(name).summary },
      args: cittyArgs(name),
      run: async ({ args }) => {
        settings = settingsFrom(name, args, tokens);
      },
    });
  const tree = defineCommand({
    meta: { name: "dewy" },
    subCommands: Object.fromEntries(commandNames.map((name) => [name, () => subcommand(name)])),
  });
  await runCommand(tree, { rawArgs: [...plainArguments(command, tokens)] });
  return settings;
}

async function run(command: CommandName, settings: Settings, invocation: Invocation): Promise<Outcome> {
  const { tokens, handlers } = invocation;
  if (tokens.problems.length > 0) return { problems: tokens.problems };
  const json = settings["json"] === true;
  if (command === "container list") {
    const port = readAdminPort(String(settings["admin-port"]));
    if (typeof port !== "number") return { problems: [port] };
    return { exitCode: await handlers.listContainers({ ports: adminPorts(port), json }) };
  }
  if (isOperatorCommand(command)) {
    const place = placeByFile(tokens, invocation.env);
    if ("problems" in place) return place;
    const placed = place.root === null ? settings : { ...settings, root: place.root };
    const read = readOperatorRequest(command, placed, tokens, new Date());
    if ("problems" in read) return read;
    const watched = (root: string) => readWatched(loadOptions(invocation), root);
    return { exitCode: await handlers.operator(read.request, watched) };
  }
  return { exitCode: await handlers.completion(tokens.argument ?? "") };
}

function readAdminPort(text: string): number | Problem {
  try {
    return wholeFrom(1, 65_535)(text);
  } catch (error) {
    return { ...problemOf(error), message: `--admin-port ${messageOf(error)}` };
  }
}

/** `--help` and `--version` are answered before citty is loaded, `--config` before the settings are known. */
function runFlags(command: CommandName): readonly FlagSpec[] {
  return flagsOf(command).filter((flag) => !["help", "version", "config"].includes(flag.name));
}

/** citty reads `--no-x` as `x` being false, so that is what such a switch is called there. */
function cittyName(flag: FlagSpec): string {
  return isNegative(flag) ? flag.name.slice("no-".length) : flag.name;
}

function isNegative(flag: FlagSpec): boolean {
  return flag.value === null && flag.name.startsWith("no-");
}

function cittyArgs(command: CommandName): ArgsDef {
  const args = runFlags(command).map((flag): [string, ArgsDef[string]] => {
    const common = { description: flag.help };
    if (flag.value === null)
      return [cittyName(flag), { ...common, type: "boolean", default: isNegative(flag) }];
    const fallback = flag.default === undefined ? {} : { default: flag.default };
    return [flag.name, { ...common, type: "string", valueHint: flag.value, ...fallback }];
  });
  return Object.fromEntries(args);
}

/** The checked arguments in the one spelling that citty never misreads. */
function* plainArguments(command: CommandName, tokens: Tokens): Generator<string> {
  yield command;
  for (const flag of runFlags(command)) {
    for (const value of tokens.values.get(flag.name) ?? []) {
      if (flag.value !== null) yield `--${flag.name}=${value}`;
      else if (value === "true") yield `--${flag.name}`;
    }
  }
  yield "--";
  yield* tokens.behind;
}

function settingsFrom(command: CommandName, args: Record<string, unknown>, tokens: Tokens): Settings {
  const settings: Record<string, Settings[string]> = {};
  for (const flag of runFlags(command)) {
    const value = args[cittyName(flag)];
    if (flag.repeats === true) settings[flag.name] = tokens.values.get(flag.name) ?? [];
    else if (flag.value === null) settings[flag.name] = isNegative(flag) ? value !== true : value === true;
    else if (typeof value === "string") settings[flag.name] = value;
  }
  const { behindDashes } = commandSpec(command);
  if (behindDashes === null || !Array.isArray(args["_"])) return settings;
  return { ...settings, [behindDashes === "app" ? "appCommand" : "runOptions"]: args["_"] };
}
