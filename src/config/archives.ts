import { resolve } from "node:path";
import * as v from "valibot";
import type { ListenSpec } from "../supervisor/listen-spec.ts";
import { parseSize } from "../util/sizes.ts";
import { type CommonConfig, commonEntries, toCommon } from "./common.ts";
import { type AppHealth, appHealthEntries, toAppHealth } from "./health.ts";
import { type LinkSpec, parseLinks } from "./links.ts";
import { parsePorts } from "./ports.ts";
import { type ReplicatedConfig, replicatedEntries, toReplicated } from "./replicated.ts";
import { asIs, text, texts } from "./schema.ts";
import { parseAccount, parseUser, toUser, type UserSpec } from "./user.ts";
import { durationFrom, parseBoolean, wholeFrom } from "./values.ts";

/** What `server` and `assets` have in common. */
interface ArchiveConfig extends CommonConfig {
  readonly once: boolean;
  readonly report: boolean;
  readonly maxArtifactBytes: number;
  /** null: the usual one. It listens only with telemetry. */
  readonly adminPort: number | null;
  /** What each release has of what outlives it. */
  readonly links: readonly LinkSpec[];
  /** Whom the app and the hooks run as; null: as the agent. */
  readonly user: UserSpec | null;
}

export interface AssetsConfig extends ArchiveConfig {
  readonly command: "assets";
}

export interface ServerConfig extends ArchiveConfig {
  readonly command: "server";
  readonly ports: readonly ListenSpec[];
  /** Empty only with `once`. */
  readonly appCommand: readonly string[];
  readonly stopTimeoutMs: number;
  readonly minUptimeMs: number;
  /** null: staying up is enough. */
  readonly health: AppHealth | null;
  /** Behind the agent's own proxy; null: the app takes the sockets over. */
  readonly replicated: ReplicatedConfig | null;
  /** On private sockets first. */
  readonly rehearse: boolean;
  /** How long a new version is on probation; 0: it is not. */
  readonly soakMs: number;
  /** KILL_OLD_DELAY. */
  readonly killOldDelayMs: number;
  /** AUTO_RESTART_INTERVAL where ENABLE_AUTO_RESTART is on. */
  readonly autoRestartMs: number | null;
  /** ENVDIR, absolute. */
  readonly envDir: string | null;
}

const archiveEntries = {
  ...commonEntries,
  once: v.boolean(),
  "no-report": v.boolean(),
  "max-artifact-size": text(parseSize),
  "admin-port": v.optional(text(wholeFrom(1, 65_535))),
  link: texts((values) => {
    const { specs, problems } = parseLinks(values);
    return { value: specs, problems };
  }),
  user: v.optional(text(parseUser)),
  group: v.optional(text(parseAccount)),
};

const serverEntries = {
  ...archiveEntries,
  port: texts((values) => {
    const { specs, problems } = parsePorts(values);
    return { value: specs, problems };
  }),
  "stop-timeout": text(durationFrom(0)),
  "min-uptime": text(durationFrom(0)),
  ...appHealthEntries,
  ...replicatedEntries,
  appCommand: v.array(v.string()),
  KILL_OLD_DELAY: v.optional(text(durationFrom(0))),
  ENABLE_AUTO_RESTART: v.optional(text(parseBoolean)),
  AUTO_RESTART_INTERVAL: v.optional(text(durationFrom(1000))),
  ENVDIR: v.optional(text(asIs)),
};

const assets = v.strictObject(archiveEntries);
const server = v.strictObject(serverEntries);

export const assetsSchema = v.pipe(
  assets,
  v.transform((input): AssetsConfig => ({ command: "assets", ...toArchive(input) })),
);

export const serverSchema = v.pipe(
  server,
  v.transform((input): ServerConfig => ({ command: "server", ...toArchive(input), ...toServer(input) })),
);

function toArchive(input: v.InferOutput<typeof assets>): ArchiveConfig {
  return {
    ...toCommon(input),
    once: input.once,
    report: !input["no-report"],
    maxArtifactBytes: input["max-artifact-size"],
    adminPort: input["admin-port"] ?? null,
    links: input.link,
    user: toUser(input.user, input.group),
  };
}

function toServer(input: v.InferOutput<typeof server>): Omit<ServerConfig, "command" | keyof ArchiveConfig> {
  const autoRestart = input.ENABLE_AUTO_RESTART === true;
  return {
    ports: input.port,
    appCommand: input.appCommand,
    stopTimeoutMs: input["stop-timeout"],
    minUptimeMs: input["min-uptime"],
    health: toAppHealth(input),
    replicated: toReplicated(input, input.port),
    rehearse: input.rehearse,
    soakMs: input.soak ?? 0,
    // Both defaults are server-starter's.
    killOldDelayMs: input.KILL_OLD_DELAY ?? (autoRestart ? 5000 : 0),
    autoRestartMs: autoRestart ? (input.AUTO_RESTART_INTERVAL ?? 360_000) : null,
    envDir: input.ENVDIR === undefined ? null : resolve(input.root, input.ENVDIR),
  };
}
