import { type CheckUrls, loadConfig, type Settings } from "../../config/load.ts";
import type { Problem } from "../../config/problem.ts";
import type { Tokens } from "../arguments/tokens.ts";
import {
  type AgentCommand,
  byItsPlace,
  type ConfigFile,
  findConfigFile,
  type Layers,
  layer,
  readFile,
} from "./layers.ts";
import type { Loaded } from "./reload.ts";

/** How to make a configuration of the command line, the environment and the file. */
export interface LoadOptions {
  readonly tokens: Tokens;
  readonly env: Layers["given"];
  readonly checkUrls: CheckUrls;
  /** Fills in the defaults. */
  readonly settingsOf: (command: AgentCommand, tokens: Tokens) => Promise<Settings>;
}

/** Reads the file too, and says everything that is wrong with all of them at once. */
export async function loadAgentConfig(
  command: AgentCommand,
  options: LoadOptions,
  file: ConfigFile | null = findConfigFile(options.tokens, options.env),
): Promise<Loaded & { readonly layers: Layers }> {
  const layers = layer(command, options.tokens, options.env, file);
  // All else would be about what the file may well say.
  if (file?.unreadable === true)
    return { problems: [...options.tokens.problems, ...layers.problems], layers };
  const settings = await options.settingsOf(command, layers.tokens);
  const loaded = await loadConfig(command, settings, layers.env, options.checkUrls);
  const problems = [
    ...options.tokens.problems,
    ...layers.problems,
    ...("problems" in loaded ? worthSaying(loaded.problems, layers) : []),
  ];
  return "problems" in loaded || problems.length > 0
    ? { problems, layers }
    : { config: loaded.config, layers };
}

/** The same once more, with the file as it is now. */
export function loadAgain(before: Layers, command: AgentCommand, options: LoadOptions): Promise<Loaded> {
  const file = before.file === null ? null : readFile(before.file.path, before.given);
  return loadAgentConfig(command, options, file);
}

/** A flag written without its value was reported as such; an app command may be what an unknown flag swallowed. */
function worthSaying(problems: readonly Problem[], layers: Layers): Problem[] {
  const { tokens } = layers;
  const appIsWrong = layers.problems.some(({ about }) => about === "app");
  return problems
    .filter(({ about }) => {
      if (about === "appCommand") return !tokens.guessing && !appIsWrong;
      return about === undefined || tokens.values.get(about)?.length !== 0;
    })
    .map((problem) => byItsPlace(layers, withPlace(problem, tokens)));
}

/** Somebody may have written the missing flag behind the app's command, where it is the app's. */
function withPlace(problem: Problem, tokens: Tokens): Problem {
  const written = `--${problem.about}`;
  const behind = tokens.behind.some((token) => token === written || token.startsWith(`${written}=`));
  if (!behind || tokens.values.has(problem.about ?? "")) return problem;
  const place = tokens.command === "container" ? "--" : `the app's command ${tokens.behind[0]}`;
  return { ...problem, hint: `write it before ${place}` };
}
