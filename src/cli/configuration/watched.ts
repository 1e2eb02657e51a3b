import { statSync } from "node:fs";
import { join } from "node:path";
import { fileName } from "../../config/file.ts";
import { type Environment, loadConfig } from "../../config/load.ts";
import { type Problem, problemText } from "../../config/problem.ts";
import { DewyError } from "../../errors.ts";
import type { Rules } from "../../schedule/evaluate.ts";
import type { Tokens } from "../arguments/tokens.ts";
import { layoutOf } from "../run/layout.ts";
import type { LoadOptions } from "./agent-config.ts";
import { byItsPlace, type ConfigFile, findConfigFile, layer } from "./layers.ts";
import { isAskedWith } from "./registry-variables.ts";

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

/**
 * By the file that `--config` names, or that lies in `root`; null: there is none. `config-invalid` with what is wrong
 * with it as far as it matters here: a notifier's secret may be readable for the agent alone.
 */
export async function readWatched(options: LoadOptions, root: string): Promise<Watched | null> {
  const { tokens, env } = options;
  if (tokens.values.has("all")) requireTrusted(root);
  const file = findConfigFile({ values: new Map([...tokens.values, ["root", [root]]]) }, env);
  if (file === null) return null;
  const problems = file.problems.filter((problem) => matters(problem, file, options));
  if (problems.length > 0) throw refused(problems.map(problemText));
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

/** Where `--config` leads to a file that says so, the agent's directory is there. `root`: null: nobody says. */
export function placeByFile(
  tokens: Tokens,
  env: Environment,
): { readonly root: string | null } | { readonly problems: readonly Problem[] } {
  const { values } = tokens;
  if (!values.has("config") || values.has("root") || values.has("all")) return { root: null };
  const file = findConfigFile(tokens, env);
  const problems = (file?.problems ?? []).filter(({ about }) => file?.unreadable || about === "root");
  return problems.length > 0 ? { problems } : { root: file?.values.get("root")?.[0] ?? null };
}

/** What another user's files say could send this user's secrets wherever that one likes. */
function requireTrusted(root: string): void {
  const trusted = [undefined, 0, process.geteuid?.()];
  const paths = [root, join(root, fileName), layoutOf(root).agent];
  const strange = paths.find((path) => !trusted.includes(statSync(path, { throwIfNoEntry: false })?.uid));
  if (strange === undefined) return;
  throw new DewyError("filesystem", `${strange} is another user's: with --all no registry is asked by it`, {
    hint: `write dewy check --root ${root}`,
  });
}

function matters({ about }: Problem, file: ConfigFile, { tokens, env }: LoadOptions): boolean {
  // An unknown key may well be a misspelt one that would matter.
  if (file.unreadable === true || about === undefined || about === "root" || about === "command") return true;
  if (watchedFlags.includes(about)) return !tokens.values.has(about);
  const [registry = null] = tokens.values.get("registry") ?? file.values.get("registry") ?? [];
  return !env[about] && isAskedWith(about, registry);
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
