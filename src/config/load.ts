import { getDotPath, safeParse } from "valibot";
import { type AgentConfig, agentSchemas } from "./config.ts";
import { idleHealthFlags } from "./health.ts";
import { parsePorts } from "./ports.ts";
import type { Problem } from "./problem.ts";
import { proxyProblems } from "./replicated.ts";
import { idleTelemetryFlags } from "./telemetry.ts";
import { parseUrl } from "./urls.ts";
import { strayGroup } from "./user.ts";

/** Values by flag name as the operator wrote them (switches as booleans), and `appCommand`. */
export type Settings = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** What drivers need to say whether they would take the URLs; null for one that is missing or no URL. */
export interface DriverUrls {
  readonly registry: string | null;
  readonly cache: string | null;
  readonly notifiers: readonly string[];
  readonly calver: string | null;
  /** Whether the registry is one of images. */
  readonly images: boolean;
}

/** Which schemes and parameters exist is for the drivers to say. */
export type CheckUrls = (
  urls: DriverUrls,
  env: Environment,
) => readonly Problem[] | Promise<readonly Problem[]>;

/** Flags and environment → the agent's configuration, or everything that is wrong with them. Touches nothing. */
export async function loadConfig(
  command: AgentConfig["command"],
  settings: Settings,
  env: Environment,
  checkUrls: CheckUrls,
): Promise<{ config: AgentConfig } | { problems: readonly Problem[] }> {
  const schema = agentSchemas[command];
  const variables = Object.keys(schema.entries).filter((key) => key === key.toUpperCase());
  // An empty variable is as good as none, as in the original.
  const set = variables.flatMap((name) => (env[name] ? [[name, env[name]] as const] : []));
  // Every key, so that a missing one is told in the schema's words.
  const unset = Object.fromEntries(Object.keys(schema.entries).map((key) => [key, undefined]));
  const result = safeParse(schema, { ...unset, ...settings, ...Object.fromEntries(set) });
  const problems = (result.issues ?? []).map((issue) => toProblem(getDotPath(issue) ?? "", issue.message));
  problems.push(
    ...(command === "server"
      ? [...missingApp(settings), ...idleHealthFlags(settings), ...checkProxy(settings, env)]
      : []),
  );
  problems.push(...strayGroup(settings));
  problems.push(...idleTelemetryFlags(command, settings));
  problems.push(...(await checkUrls(readableUrls(command, settings, problems), env)));
  return result.success && problems.length === 0 ? { config: result.output } : { problems };
}

/** `notifier.1` is about `notifier`. */
function toProblem(path: string, message: string): Problem {
  const about = path.split(".")[0] ?? path;
  // What is wrong behind `--` names the option itself.
  if (about === "runOptions") return { message, about };
  const label = about === about.toUpperCase() ? about : `--${about}`;
  return { message: `${label} ${message}`, about };
}

function checkProxy(settings: Settings, env: Environment): Problem[] {
  const { port } = settings;
  const { specs } = parsePorts(Array.isArray(port) ? port : []);
  return proxyProblems(settings, specs, env["KILL_OLD_DELAY"]);
}

function missingApp(settings: Settings): Problem[] {
  if (
    settings["once"] === true ||
    !Array.isArray(settings["appCommand"]) ||
    settings["appCommand"].length > 0
  ) {
    return [];
  }
  return [
    {
      message: "server has no app to run",
      hint: "write its command last: dewy server … -- ./current/myapp",
      about: "appCommand",
    },
  ];
}

function readableUrls(
  command: AgentConfig["command"],
  settings: Settings,
  problems: readonly Problem[],
): DriverUrls {
  const { registry, cache, notifier, calver } = settings;
  const calverFits = typeof calver === "string" && !problems.some((problem) => problem.about === "calver");
  return {
    registry: readableUrl(registry, false),
    cache: readableUrl(cache, true),
    notifiers: Array.isArray(notifier) ? notifier.flatMap((url) => readableUrl(url, false) ?? []) : [],
    calver: calverFits ? calver : null,
    images: command === "container",
  };
}

function readableUrl(value: Settings[string], bareWords: boolean): string | null {
  try {
    return typeof value === "string" ? parseUrl(value, "", { bareWords }) : null;
  } catch {
    return null;
  }
}
