import { lstatSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileName, readConfigFile } from "../../config/file.ts";
import type { FileReading, KeySpec } from "../../config/file-values.ts";
import type { Environment } from "../../config/load.ts";
import type { Problem } from "../../config/problem.ts";
import { isAbsent } from "../../util/fs.ts";
import type { FlagSpec } from "../arguments/flag-groups/spec.ts";
import { flags } from "../arguments/flags.ts";
import type { Tokens } from "../arguments/tokens.ts";

export type AgentCommand = "server" | "assets" | "container";

export const agentCommands: readonly AgentCommand[] = ["server", "assets", "container"];

export function isAgentCommand(word: string | null): word is AgentCommand {
  return agentCommands.some((command) => command === word);
}

export interface ConfigFile extends FileReading {
  readonly path: string;
}

/** The command line over the environment over the file. */
export interface Layers {
  readonly line: Tokens;
  readonly given: Environment;
  /** null: there is none. */
  readonly file: ConfigFile | null;
  /** The line, with the file's values where it says nothing. */
  readonly tokens: Tokens;
  /** The environment, with the file's variables where it has none. */
  readonly env: Environment;
  readonly problems: readonly Problem[];
}

/** Flags that the file can't have: they are about the file, or about one call. */
export const lineOnly: readonly string[] = ["config", "help", "version", "json"];

export const fileKeys: readonly KeySpec[] = keysOf(flags);

/** Reads the file that `--config` names, else dewy.toml in the root, if it is there. */
export function findConfigFile({ values }: Pick<Tokens, "values">, env: Environment): ConfigFile | null {
  const named = values.get("config")?.[0];
  const root = resolve(values.get("root")?.[0] ?? ".");
  if (named !== undefined) return readFile(resolve(named), env);
  const path = join(root, fileName);
  if (!isThere(path)) return null;
  const file = readFile(path, env);
  const other = file.values.get("root")?.[0];
  if (other === undefined || resolve(other) === root) return file;
  const message = `${path}: root is ${other}, which is not where this file was found`;
  const problem = { message, hint: "leave root out, or name the file with --config", about: "root" };
  return { ...file, problems: [...file.problems, problem] };
}

/** A link that leads nowhere is there: somebody meant it to be read. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return !isAbsent(error);
  }
}

export function readFile(path: string, env: Environment): ConfigFile {
  return { path, ...readConfigFile(path, fileKeys, env) };
}

export function layer(
  command: AgentCommand,
  line: Tokens,
  given: Environment,
  file: ConfigFile | null,
): Layers {
  if (file === null) return { line, given, file, tokens: line, env: given, problems: [] };
  const values = new Map([...file.values].filter(([name]) => specOf(name)?.commands.includes(command)));
  for (const [name, written] of line.values) values.set(name, written);
  const behind = line.behind.length > 0 ? line.behind : (behindOf(command, file) ?? []);
  const set = Object.entries(given).filter(([, value]) => value !== undefined && value !== "");
  return {
    line,
    given,
    file,
    tokens: { ...line, command, values, behind },
    env: { ...given, ...Object.fromEntries(file.variables), ...Object.fromEntries(set) },
    problems: [...file.problems, ...misplaced(command, file)],
  };
}

/** The variables that only the file has. */
export function fileVariables({ file, given }: Layers): ReadonlyMap<string, string> {
  return new Map([...(file?.variables ?? [])].filter(([name]) => !given[name]));
}

/** Where a value comes from, a problem with it is told by the name it has there. */
export function byItsPlace({ file, line }: Layers, problem: Problem): Problem {
  const { about, message, hint } = problem;
  if (file === null || about === undefined) return problem;
  if (about === "appCommand")
    return { ...problem, hint: `${hint}, or app = ["./current/myapp"] in ${file.path}` };
  const inFile =
    file.values.has(about) || file.variables.has(about) || (about === "runOptions" && file.options);
  if (!inFile || line.values.has(about)) return problem;
  const key = about === "runOptions" ? "options" : about;
  // What was put in may be a secret, which no message may hold.
  if (file.masked.has(key)) {
    return {
      about,
      message: `${file.path}: what ${key} refers to does not fit`,
      hint: "look at what it stands for",
    };
  }
  return { ...problem, message: `${file.path}: ${message.replace(/^--/, "")}` };
}

function behindOf(command: AgentCommand, file: ConfigFile): readonly string[] | null {
  if (command === "server") return file.app;
  return command === "container" ? file.options : null;
}

/** Keys of another command than the one that runs. */
function misplaced(command: AgentCommand, file: ConfigFile): Problem[] {
  const problems: Problem[] = [];
  const say = (message: string, hint: string) => problems.push({ message: `${file.path}: ${message}`, hint });
  if (file.command !== null && file.command !== command) {
    const other = isAgentCommand(file.command) ? `run dewy ${file.command}, or ` : "";
    say(`command is "${file.command}"`, `${other}write command = "${command}"`);
  }
  if (command !== "server" && file.app !== null) say(`${command} runs no app`, "leave app out");
  if (command !== "container" && file.options !== null) {
    say(`options are those of docker run, and ${command} runs no containers`, "leave options out");
  }
  for (const name of file.values.keys()) {
    const owners = specOf(name)?.commands ?? [];
    if (owners.includes(command)) continue;
    say(`${name} is no key of ${command}`, `it belongs to ${owners.join(" and ")}`);
  }
  return problems;
}

function specOf(name: string): KeySpec | undefined {
  return fileKeys.find((key) => key.name === name);
}

/** Commands may give one name two entries. */
function keysOf(all: readonly FlagSpec[]): KeySpec[] {
  const names = new Set(all.filter((flag) => flag.commands.some(isAgentCommand)).map(({ name }) => name));
  return [...names]
    .filter((name) => !lineOnly.includes(name))
    .map((name) => {
      const same = all.filter((flag) => flag.name === name && flag.commands.some(isAgentCommand));
      const commands = same.flatMap((flag) => flag.commands).filter(isAgentCommand);
      const value = same[0]?.value ?? null;
      const kind = value === null ? "switch" : same[0]?.repeats === true ? "values" : "value";
      return { name, kind, commands, shape: value ?? "" };
    });
}
