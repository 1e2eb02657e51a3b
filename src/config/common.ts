import { resolve } from "node:path";
import * as v from "valibot";
import { type LogFormat, type LogLevel, logLevels } from "../log.ts";
import type { Rules } from "../schedule/evaluate.ts";
import { scheduleEntries, toSchedule } from "./schedule.ts";
import { asIs, choice, text } from "./schema.ts";
import { parseOtlpAddress, type TelemetryConfig, toTelemetry } from "./telemetry.ts";
import { parseUrl } from "./urls.ts";
import { durationFrom, parseCalver, parseSlot, wholeFrom } from "./values.ts";

/** What all agents have in common. URLs are as they were written; their drivers read them. */
export interface CommonConfig {
  /** Absolute. */
  readonly root: string;
  readonly registry: string;
  readonly cache: string;
  readonly notifiers: readonly string[];
  readonly intervalMs: number;
  readonly keep: number;
  readonly slot: string | null;
  /** A CalVer format; null: SemVer. */
  readonly calver: string | null;
  /** When deploys may happen. */
  readonly schedule: Rules;
  readonly hooks: {
    readonly before: string | null;
    readonly after: string | null;
    readonly onFailure: "continue" | "abort";
    readonly timeoutMs: number;
  };
  /** null: off. */
  readonly telemetry: TelemetryConfig | null;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** DEWY_CACHEDIR, absolute. */
  readonly cacheDir: string | null;
}

/** Of notifiers' URLs. */
const examples = {
  smtp: "smtp://host:587/ops@example.com",
  smtps: "smtps://host:465/ops@example.com",
  mail: "mail://host:587/ops@example.com",
  "webhook+https": "webhook+https://host/path",
  "webhook+http": "webhook+http://127.0.0.1:8080/path",
};

/** Keys are the names of flags and, in capitals, of environment variables. Defaults are in the table of flags. */
export const commonEntries = {
  root: text((value) => resolve(value)),
  registry: text((value) => parseUrl(value, "ghr://owner/repo, file:///srv/releases or img://host/name")),
  cache: text((value) => parseUrl(value, "file, memory or s3://region/bucket/prefix", { bareWords: true })),
  notifier: v.array(text((value) => parseUrl(value, "slack://channel", { secretPath: true, examples }))),
  interval: text(durationFrom(1000)),
  keep: text(wholeFrom(1)),
  slot: v.optional(text(parseSlot)),
  calver: v.optional(text(parseCalver)),
  ...scheduleEntries,
  "before-deploy-hook": v.optional(text(asIs)),
  "after-deploy-hook": v.optional(text(asIs)),
  "hook-failure": choice(["continue", "abort"]),
  "hook-timeout": text(durationFrom(1000)),
  telemetry: v.boolean(),
  "otlp-endpoint": v.optional(text(parseOtlpAddress)),
  "otlp-insecure": v.boolean(),
  "log-level": v.pipe(v.string(), v.toLowerCase(), choice(logLevels)),
  "log-format": choice(["text", "json"]),
  DEWY_CACHEDIR: v.optional(text(asIs)),
};

const common = v.object(commonEntries);

export function toCommon(input: v.InferOutput<typeof common>): CommonConfig {
  return {
    root: input.root,
    registry: input.registry,
    cache: input.cache,
    notifiers: input.notifier,
    intervalMs: input.interval,
    keep: input.keep,
    slot: input.slot ?? null,
    calver: input.calver ?? null,
    schedule: toSchedule(input),
    hooks: {
      before: input["before-deploy-hook"] ?? null,
      after: input["after-deploy-hook"] ?? null,
      onFailure: input["hook-failure"],
      timeoutMs: input["hook-timeout"],
    },
    telemetry: toTelemetry(input.telemetry, input["otlp-endpoint"], !input["otlp-insecure"]),
    log: { level: input["log-level"], format: input["log-format"] },
    cacheDir: input.DEWY_CACHEDIR === undefined ? null : resolve(input.root, input.DEWY_CACHEDIR),
  };
}
