import * as v from "valibot";
import { parseDuration } from "../util/time.ts";
import { appHealthDefaults } from "./health-defaults.ts";
import type { Settings } from "./load.ts";
import { invalid, type Problem } from "./problem.ts";
import { asIs, text } from "./schema.ts";
import { durationFrom, wholeFrom } from "./values.ts";

/** How `server` finds out whether a version is well. At least one of path and command is given. */
export interface AppHealth {
  /** GET this on the first port. */
  readonly path: string | null;
  /** For `/bin/sh -c`. */
  readonly command: string | null;
  /** From its start until a new version must be well. */
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** So many good checks in a row make a new version well. */
  readonly passes: number;
  /** So many failed ones in a row make one that is on probation sick. */
  readonly threshold: number;
}

export const appHealthEntries = {
  "health-path": v.optional(text(parsePath)),
  "health-cmd": v.optional(text(parseCommand)),
  "health-timeout": v.optional(text(durationFrom(1000))),
  "health-interval": v.optional(text(durationFrom(100))),
  "health-passes": v.optional(text(wholeFrom(1, 100))),
  "health-threshold": v.optional(text(wholeFrom(1, 100))),
  rehearse: v.boolean(),
  soak: v.optional(text(durationFrom(0))),
};

const entries = v.object(appHealthEntries);

/** null: nothing is checked. */
export function toAppHealth(given: v.InferOutput<typeof entries>): AppHealth | null {
  const path = given["health-path"] ?? null;
  const command = given["health-cmd"] ?? null;
  if (path === null && command === null) return null;
  const defaults = appHealthDefaults;
  return {
    path,
    command,
    timeoutMs: given["health-timeout"] ?? parseDuration(defaults["health-timeout"]),
    intervalMs: given["health-interval"] ?? parseDuration(defaults["health-interval"]),
    passes: given["health-passes"] ?? Number(defaults["health-passes"]),
    threshold: given["health-threshold"] ?? Number(defaults["health-threshold"]),
  };
}

/** A path that begins with one slash; `//host/x` would be another host's. */
export function parsePath(value: string): string {
  if (/^\/(?!\/)[\x21-\x7e]*$/.test(value)) return value;
  throw invalid(`"${value}" is not a path`, "write for example /up");
}

function parseCommand(value: string): string {
  if (value.trim() !== "") return asIs(value);
  throw invalid("is empty", "write a command for /bin/sh, whose exit code 0 passes");
}

/** What has no effect is no mistake to be passed over in silence. */
export function idleHealthFlags(settings: Settings): Problem[] {
  // Behind the proxy there are checks in any case.
  if (settings["proxy"] === true) return [];
  const isGiven = (name: string): boolean => settings[name] !== undefined && settings[name] !== false;
  const hasCheck = isGiven("health-path") || isGiven("health-cmd");
  const { port } = settings;
  const hasPort = Array.isArray(port) && port.length > 0;
  const idle = (about: string, message: string, hint: string): Problem[] =>
    isGiven(about) ? [{ message: `--${about} ${message}`, hint, about }] : [];
  const addCheck = "add --health-path or --health-cmd";
  return [
    ...(hasPort ? [] : idle("health-path", "needs a port to ask", "add --port, or use --health-cmd")),
    ...(hasPort ? [] : idle("rehearse", "needs a port that clients are kept away from", "add --port")),
    ...(hasCheck
      ? tooShort(settings)
      : [
          ...["health-timeout", "health-interval", "health-passes", "health-threshold"].flatMap((name) =>
            idle(name, "is about health checks, and there is none", addCheck),
          ),
          ...idle("rehearse", "has no health check to go by", addCheck),
        ]),
    ...(hasCheck && !isGiven("soak")
      ? idle(
          "health-threshold",
          "counts failed checks while a version is on probation",
          "add --soak DURATION",
        )
      : []),
  ];
}

/** Passes that can't all come in time would refuse every release. */
function tooShort(settings: Settings): Problem[] {
  const written = { ...appHealthDefaults, ...definedOf(settings) };
  try {
    const timeoutMs = parseDuration(written["health-timeout"]);
    const pausesMs = parseDuration(written["health-interval"]) * (Number(written["health-passes"]) - 1);
    if (!(pausesMs >= timeoutMs)) return [];
  } catch {
    return []; // no durations: that is told already
  }
  return [
    {
      message: "--health-timeout is too short for so many checks",
      hint: "it must be longer than --health-interval times one less than --health-passes",
      about: "health-timeout",
    },
  ];
}

function definedOf(settings: Settings): Partial<Record<keyof typeof appHealthDefaults, string>> {
  const given = Object.keys(appHealthDefaults).map((name) => [name, settings[name]] as const);
  return Object.fromEntries(
    given.filter((pair): pair is [keyof typeof appHealthDefaults, string] => typeof pair[1] === "string"),
  );
}
