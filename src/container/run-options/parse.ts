import { DewyError } from "../../errors.ts";
import type { ContainerConfig, HostConfig, Mount, NetworkingConfig } from "../create-body.ts";
import { type ApiNeed, type Bind, type Draft, emptyDraft } from "./draft.ts";
import type { EnvironmentSources } from "./env-file.ts";
import { healthConflicts } from "./health.ts";
import { loggingConflicts } from "./logging.ts";
import { memoryConflicts } from "./memory.ts";
import { networkConflicts } from "./network.ts";
import type { Problem } from "./problem.ts";
import { resourceConflicts } from "./resources.ts";
import { storageConflicts } from "./storage.ts";
import { type Given, readTokens } from "./tokens.ts";

/** What the operator wrote after `--`, as far as it can be known without the image, the host and the files. */
export interface RunOptions {
  /** `--name`: the base of the containers' names. */
  readonly name: string | null;
  /** `linux/arch[/variant]`, for the pull too. */
  readonly platform: string | null;
  /** `--stop-timeout`; null: dewy's. */
  readonly stopTimeoutMs: number | null;
  readonly environment: EnvironmentSources;
  readonly binds: readonly Bind[];
  /** A bind mount's source that starts with `.` is relative to dewy's root. */
  readonly mounts: readonly Mount[];
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly networking: NetworkingConfig | null;
  readonly needs: readonly ApiNeed[];
}

/**
 * The arguments after `--` → what they ask for, or everything that is wrong with them. Pure, and never throws. Where
 * there are problems the options are incomplete.
 */
export function parseRunOptions(args: readonly string[]): {
  options: RunOptions;
  problems: readonly Problem[];
} {
  const draft = emptyDraft();
  const problems: Problem[] = [];
  const failed = new Set<string>();
  const seen = new Set<string>();
  for (const token of readTokens(args)) {
    const problem = "option" in token ? apply(draft, token, seen.has(token.option.name)) : token;
    if (problem !== null) problems.push(problem);
    if (!("option" in token)) continue;
    seen.add(token.option.name);
    if (problem !== null) failed.add(token.option.name);
  }
  for (const { between, ...problem } of conflictsIn(draft)) {
    if (!between.some((name) => failed.has(name))) problems.push(problem);
  }
  return { options: finished(draft), problems };
}

function apply(draft: Draft, { option, written, value }: Given, again: boolean): Problem | null {
  const { rule } = option;
  if ("refused" in rule) return { message: `${written} is ${rule.refused}: ${rule.because}` };
  if (again && !option.repeats) {
    return { message: `--${option.name} is given more than once`, hint: "write it once" };
  }
  try {
    rule.set(draft, value);
    return null;
  } catch (error) {
    if (!(error instanceof DewyError)) throw error;
    return { message: `${written} ${error.message}`, hint: error.hint };
  }
}

function conflictsIn(draft: Draft) {
  return [
    ...storageConflicts(draft),
    ...networkConflicts(draft),
    ...memoryConflicts(draft),
    ...resourceConflicts(draft),
    ...healthConflicts(draft),
    ...loggingConflicts(draft),
  ];
}

function finished(draft: Draft): RunOptions {
  const { name, platform, envFiles, env, binds, mounts, config, host } = draft;
  const stopSeconds = config.StopTimeout;
  const first = draft.networks[0];
  return {
    name,
    platform,
    stopTimeoutMs: stopSeconds === undefined ? null : stopSeconds * 1000,
    environment: { envFiles, env },
    binds,
    mounts,
    config: draft.noHealthcheck ? { ...config, Healthcheck: { Test: ["NONE"] } } : config,
    host: first === undefined ? host : { ...host, NetworkMode: first.name },
    networking: networkingOf(draft),
    needs: needsOf(draft),
  };
}

/** The engine attaches the network of `NetworkMode` by itself; an endpoint is for what is more than that. */
function networkingOf({ networks, aliases }: Draft): NetworkingConfig | null {
  const endpoints = networks.map(({ name, endpoint }, index) => {
    const own = index === 0 && aliases.length > 0 ? { ...endpoint, Aliases: aliases } : endpoint;
    return [name, own] as const;
  });
  const plain = endpoints.every(([, endpoint]) => Object.keys(endpoint).length === 0);
  return plain && endpoints.length < 2 ? null : { EndpointsConfig: Object.fromEntries(endpoints) };
}

function needsOf({ needs, networks }: Draft): ApiNeed[] {
  const all = networks.length > 1 ? [...needs, { option: "a second --network", apiVersion: "1.44" }] : needs;
  return [...new Map(all.map((need) => [need.option, need])).values()];
}
