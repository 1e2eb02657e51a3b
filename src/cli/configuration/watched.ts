import { type Environment, loadConfig } from "../../config/load.ts";
import { problemText } from "../../config/problem.ts";
import { DewyError } from "../../errors.ts";
import type { Rules } from "../../schedule/evaluate.ts";
import type { Tokens } from "../arguments/tokens.ts";
import type { LoadOptions } from "./agent-config.ts";
import { byItsPlace, type ConfigFile, findConfigFile, layer } from "./layers.ts";

/** What an agent started with the configuration file would watch, and when it would deploy. */
export interface Watched {
  /** null: neither the file nor the command line says. */
  readonly registry: string | null;
  readonly calver: string | null;
  readonly slot: string | null;
  readonly rules: Rules;
  /** null: the file does not say which kind of agent it is for. */
  readonly command: string | null;
  /** The environment, and the file's variables where it has none. */
  readonly env: Environment;
  /** The file's path. */
  readonly path: string;
}

/** All of the file that matters here: the rest may well be completed by a command line that is not known. */
const watchedFlags = ["registry", "calver", "slot", "window", "min-age", "jitter"];
/** Takes the place of a missing one, which is no problem here. */
const noRegistry = "file:///";

/** null: there is no file. `config-invalid` with all that is wrong with it, as an agent would refuse it. */
export async function readWatched(options: LoadOptions): Promise<Watched | null> {
  const { tokens, env } = options;
  const file = findConfigFile(tokens, env);
  if (file === null) return null;
  if (file.problems.length > 0) throw refused(file.problems.map(problemText));
  const line = lineOf(tokens, file);
  const layers = { ...layer("assets", line, env, file), line: tokens };
  const settings = await options.settingsOf("assets", line);
  const loaded = await loadConfig("assets", settings, layers.env, () => []);
  if ("problems" in loaded)
    throw refused(loaded.problems.map((problem) => problemText(byItsPlace(layers, problem))));
  const { registry, calver, slot, schedule: rules } = loaded.config;
  return {
    registry: registry === noRegistry ? null : registry,
    calver,
    slot,
    rules,
    command: file.command,
    env: layers.env,
    path: file.path,
  };
}

/** Where `--config` leads to a file that says so, the agent's directory is there. */
export function rootByFile(tokens: Tokens, env: Environment): string | null {
  if (!tokens.values.has("config") || tokens.values.has("root")) return null;
  return findConfigFile(tokens, env)?.values.get("root")?.[0] ?? null;
}

function lineOf(tokens: Tokens, file: ConfigFile): Tokens {
  const values = new Map([["registry", [noRegistry]] as [string, readonly string[]]]);
  for (const name of watchedFlags) {
    const written = tokens.values.get(name) ?? file.values.get(name);
    if (written !== undefined) values.set(name, written);
  }
  return { ...tokens, command: "assets", values, behind: [] };
}

function refused(problems: readonly string[]): DewyError {
  return new DewyError("config-invalid", problems.join("; "), {
    hint: "no agent would start so; `dewy config check` tells when it is fine",
  });
}
