import { resolve } from "node:path";
import { type ArgsDef, type CommandDef, defineCommand, runCommand } from "citty";
import { adminPorts } from "../admin/protocol.ts";
import type { AgentConfig } from "../config/config.ts";
import { type CheckUrls, type Environment, loadConfig, type Settings } from "../config/load.ts";
import { type Problem, problemOf } from "../config/problem.ts";
import { wholeFrom } from "../config/values.ts";
import { messageOf } from "../errors.ts";
import { type CommandName, commandNames, commandSpec } from "./commands.ts";
import type { FlagSpec } from "./flag-groups/spec.ts";
import { flagsOf } from "./flags.ts";
import type { Tokens } from "./tokens.ts";

/** What the commands do; each gives the exit code. main.ts brings them, loading each only when it is called. */
export interface CommandHandlers {
  agent(config: AgentConfig): Promise<number>;
  listContainers(options: { readonly ports: readonly number[]; readonly json: boolean }): Promise<number>;
  status(options: { readonly root: string; readonly json: boolean }): Promise<number>;
  retry(options: { readonly root: string }): Promise<number>;
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

/** Builds citty's command tree from the table of flags and lets it parse, fill in defaults and run one command. */
export async function dispatch(command: CommandName, invocation: Invocation): Promise<Outcome> {
  // citty gives back neither a subcommand's result nor hands data down to it.
  let outcome: Outcome = { problems: [] };
  const subcommand = (name: CommandName): CommandDef =>
    defineCommand({
      meta: { name, description: commandSpec(name).summary },
      args: cittyArgs(name),
      run: async ({ args }) => {
        outcome = await run(name, settingsFrom(name, args, invocation.tokens), invocation);
      },
    });
  const tree = defineCommand({
    meta: { name: "dewy" },
    subCommands: Object.fromEntries(commandNames.map((name) => [name, () => subcommand(name)])),
  });
  await runCommand(tree, { rawArgs: [...plainArguments(command, invocation.tokens)] });
  return outcome;
}

async function run(command: CommandName, settings: Settings, invocation: Invocation): Promise<Outcome> {
  const { tokens, env, handlers } = invocation;
  if (command === "server" || command === "assets" || command === "container") {
    const loaded = await loadConfig(command, settings, env, handlers.checkUrls);
    const problems = [
      ...tokens.problems,
      ...("problems" in loaded ? worthSaying(loaded.problems, tokens) : []),
    ];
    if ("problems" in loaded || problems.length > 0) return { problems };
    return { exitCode: await handlers.agent(loaded.config) };
  }
  if (tokens.problems.length > 0) return { problems: tokens.problems };
  const json = settings["json"] === true;
  if (command === "container list") {
    const port = readAdminPort(String(settings["admin-port"]));
    if (typeof port !== "number") return { problems: [port] };
    return { exitCode: await handlers.listContainers({ ports: adminPorts(port), json }) };
  }
  const root = resolve(String(settings["root"]));
  if (command === "retry") return { exitCode: await handlers.retry({ root }) };
  return { exitCode: await handlers.status({ root, json }) };
}

function readAdminPort(text: string): number | Problem {
  try {
    return wholeFrom(1, 65_535)(text);
  } catch (error) {
    return { ...problemOf(error), message: `--admin-port ${messageOf(error)}` };
  }
}

/** A flag written without its value was reported as such; an app command may be what an unknown flag swallowed. */
function worthSaying(problems: readonly Problem[], tokens: Tokens): Problem[] {
  return problems
    .filter(({ about }) => {
      if (about === "appCommand") return !tokens.guessing;
      return about === undefined || tokens.values.get(about)?.length !== 0;
    })
    .map((problem) => withPlace(problem, tokens));
}

/** Somebody may have written the missing flag behind the app's command, where it is the app's. */
function withPlace(problem: Problem, tokens: Tokens): Problem {
  const written = `--${problem.about}`;
  const behind = tokens.behind.some((token) => token === written || token.startsWith(`${written}=`));
  if (!behind || tokens.values.has(problem.about ?? "")) return problem;
  const place = tokens.command === "container" ? "--" : `the app's command ${tokens.behind[0]}`;
  return { ...problem, hint: `write it before ${place}` };
}

/** `--help` and `--version` are answered before citty is loaded. */
function runFlags(command: CommandName): readonly FlagSpec[] {
  return flagsOf(command).filter((flag) => flag.name !== "help" && flag.name !== "version");
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
