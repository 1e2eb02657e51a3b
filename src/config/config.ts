import { resolve } from "node:path";
import * as v from "valibot";
import { type LogFormat, type LogLevel, logLevels } from "../log.ts";
import type { ListenSpec } from "../supervisor/listen-spec.ts";
import { parsePorts } from "./ports.ts";
import { problemOf, problemText } from "./problem.ts";
import { parseSize } from "./sizes.ts";
import { parseUrl } from "./urls.ts";
import { durationFrom, parseBoolean, parseCalver, parseSlot, wholeFrom } from "./values.ts";

/** What `server` and `assets` have in common. URLs are as they were written; their drivers read them. */
interface CommonConfig {
  /** Absolute. */
  readonly root: string;
  readonly registry: string;
  readonly cache: string;
  readonly notifiers: readonly string[];
  readonly intervalMs: number;
  readonly keep: number;
  readonly once: boolean;
  readonly report: boolean;
  readonly slot: string | null;
  /** A CalVer format; null: SemVer. */
  readonly calver: string | null;
  readonly maxArtifactBytes: number;
  readonly hooks: {
    readonly before: string | null;
    readonly after: string | null;
    readonly onFailure: "continue" | "abort";
    readonly timeoutMs: number;
  };
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** DEWY_CACHEDIR, absolute. */
  readonly cacheDir: string | null;
}

export interface AssetsConfig extends CommonConfig {
  readonly command: "assets";
}

export interface ServerConfig extends CommonConfig {
  readonly command: "server";
  readonly ports: readonly ListenSpec[];
  /** Empty only with `once`. */
  readonly appCommand: readonly string[];
  readonly stopTimeoutMs: number;
  readonly minUptimeMs: number;
  /** KILL_OLD_DELAY. */
  readonly killOldDelayMs: number;
  /** AUTO_RESTART_INTERVAL where ENABLE_AUTO_RESTART is on. */
  readonly autoRestartMs: number | null;
  /** ENVDIR, absolute. */
  readonly envDir: string | null;
}

export type AgentConfig = ServerConfig | AssetsConfig;

/** A text that `parse` reads; what it throws becomes the issue. */
function text<T>(parse: (value: string) => T) {
  return v.pipe(
    v.string("is not set"),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        addIssue({ message: problemText(problemOf(error)) });
        return NEVER;
      }
    }),
  );
}

const ports = v.pipe(
  v.array(v.string()),
  v.rawTransform<string[], ListenSpec[]>(({ dataset, addIssue, NEVER }) => {
    const { specs, problems } = parsePorts(dataset.value);
    for (const problem of problems) addIssue({ message: problemText(problem) });
    return problems.length === 0 ? specs : NEVER;
  }),
);

function choice<const T extends readonly string[]>(options: T) {
  return v.picklist(options, (issue) => `${issue.received} is unknown; write ${options.join(", ")}`);
}

const asIs = (value: string) => value;

/** Keys are the names of flags and, in capitals, of environment variables. Defaults are in the table of flags. */
const commonEntries = {
  root: text((value) => resolve(value)),
  registry: text((value) => parseUrl(value, "ghr://owner/repo or file:///srv/releases")),
  cache: text((value) => parseUrl(value, "file or memory", { bareWords: true })),
  notifier: v.array(text((value) => parseUrl(value, "slack://channel", { secretPath: true }))),
  interval: text(durationFrom(1000)),
  keep: text(wholeFrom(1)),
  once: v.boolean(),
  "no-report": v.boolean(),
  slot: v.optional(text(parseSlot)),
  calver: v.optional(text(parseCalver)),
  "max-artifact-size": text(parseSize),
  "before-deploy-hook": v.optional(text(asIs)),
  "after-deploy-hook": v.optional(text(asIs)),
  "hook-failure": choice(["continue", "abort"]),
  "hook-timeout": text(durationFrom(1000)),
  "log-level": v.pipe(v.string(), v.toLowerCase(), choice(logLevels)),
  "log-format": choice(["text", "json"]),
  DEWY_CACHEDIR: v.optional(text(asIs)),
};

const serverEntries = {
  ...commonEntries,
  port: ports,
  "stop-timeout": text(durationFrom(0)),
  "min-uptime": text(durationFrom(0)),
  appCommand: v.array(v.string()),
  KILL_OLD_DELAY: v.optional(text(durationFrom(0))),
  ENABLE_AUTO_RESTART: v.optional(text(parseBoolean)),
  AUTO_RESTART_INTERVAL: v.optional(text(durationFrom(1000))),
  ENVDIR: v.optional(text(asIs)),
};

const common = v.strictObject(commonEntries);
const server = v.strictObject(serverEntries);

/** What each agent's flags and variables must be, and the configuration they make. */
export const agentSchemas = {
  assets: v.pipe(
    common,
    v.transform((input): AssetsConfig => ({ command: "assets", ...toCommon(input) })),
  ),
  server: v.pipe(
    server,
    v.transform((input): ServerConfig => ({ command: "server", ...toCommon(input), ...toServer(input) })),
  ),
};

function toCommon(input: v.InferOutput<typeof common>): CommonConfig {
  return {
    root: input.root,
    registry: input.registry,
    cache: input.cache,
    notifiers: input.notifier,
    intervalMs: input.interval,
    keep: input.keep,
    once: input.once,
    report: !input["no-report"],
    slot: input.slot ?? null,
    calver: input.calver ?? null,
    maxArtifactBytes: input["max-artifact-size"],
    hooks: {
      before: input["before-deploy-hook"] ?? null,
      after: input["after-deploy-hook"] ?? null,
      onFailure: input["hook-failure"],
      timeoutMs: input["hook-timeout"],
    },
    log: { level: input["log-level"], format: input["log-format"] },
    cacheDir: input.DEWY_CACHEDIR === undefined ? null : resolve(input.root, input.DEWY_CACHEDIR),
  };
}

function toServer(input: v.InferOutput<typeof server>): Omit<ServerConfig, "command" | keyof CommonConfig> {
  const autoRestart = input.ENABLE_AUTO_RESTART === true;
  return {
    ports: input.port,
    appCommand: input.appCommand,
    stopTimeoutMs: input["stop-timeout"],
    minUptimeMs: input["min-uptime"],
    // Both defaults are server-starter's.
    killOldDelayMs: input.KILL_OLD_DELAY ?? (autoRestart ? 5000 : 0),
    autoRestartMs: autoRestart ? (input.AUTO_RESTART_INTERVAL ?? 360_000) : null,
    envDir: input.ENVDIR === undefined ? null : resolve(input.root, input.ENVDIR),
  };
}
