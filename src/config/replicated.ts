import * as v from "valibot";
import type { ListenSpec } from "../supervisor/listen-spec.ts";
import { parseDuration } from "../util/time.ts";
import { appHealthDefaults } from "./health-defaults.ts";
import type { Settings } from "./load.ts";
import { invalid, type Problem } from "./problem.ts";
import { replicatedDefaults } from "./replicated-defaults.ts";
import { choice, text } from "./schema.ts";
import { durationFrom, wholeFrom } from "./values.ts";

/** `server --proxy`: the agent's proxy holds the ports, and the app has private ones. */
export interface ReplicatedConfig {
  readonly ports: readonly ReplicatedPort[];
  readonly replicas: number;
  readonly health: {
    readonly path: string | null;
    /** For `/bin/sh -c`. */
    readonly command: string | null;
    readonly timeoutMs: number;
    readonly intervalMs: number;
    readonly threshold: number;
  };
  readonly drainMs: number;
  /** 0: never. */
  readonly proxyIdleTimeoutMs: number;
  /** null: what the limit of open files allows. */
  readonly maxConnections: number | null;
  readonly proxyProtocol: "v1" | "v2" | null;
}

export interface ReplicatedPort {
  /** A literal address; null: all of them. */
  readonly host: string | null;
  readonly port: number;
  /** The variable by which the app is told its own port for this one. */
  readonly variable: string;
}

/** Without defaults: what was given can be told, and without --proxy none of it has an effect. */
export const replicatedEntries = {
  proxy: v.boolean(),
  "port-env": v.optional(text(parseNames)),
  replicas: v.optional(text(wholeFrom(1, 100))),
  "drain-time": v.optional(text(durationFrom(0))),
  "proxy-idle-timeout": v.optional(text(durationFrom(0))),
  "max-connections": v.optional(text(wholeFrom(1))),
  "proxy-protocol": v.optional(choice(["v1", "v2"])),
};

const entries = v.object(replicatedEntries);

interface HealthInput {
  readonly "health-path"?: string | undefined;
  readonly "health-cmd"?: string | undefined;
  readonly "health-timeout"?: number | undefined;
  readonly "health-interval"?: number | undefined;
  readonly "health-threshold"?: number | undefined;
}

/** null: without --proxy. What does not fit together is told by `proxyProblems`. */
export function toReplicated(
  given: v.InferOutput<typeof entries> & HealthInput,
  ports: readonly ListenSpec[],
): ReplicatedConfig | null {
  if (!given.proxy) return null;
  const names = given["port-env"] ?? [replicatedDefaults["port-env"]];
  const ofHealth = (name: keyof typeof appHealthDefaults) => appHealthDefaults[name];
  return {
    ports: ports.flatMap((spec, index) =>
      spec.kind === "unix" ? [] : [{ host: spec.host, port: spec.port, variable: names[index] ?? "" }],
    ),
    replicas: given.replicas ?? Number(replicatedDefaults.replicas),
    health: {
      path: given["health-path"] ?? null,
      command: given["health-cmd"] ?? null,
      timeoutMs: given["health-timeout"] ?? parseDuration(ofHealth("health-timeout")),
      intervalMs: given["health-interval"] ?? parseDuration(ofHealth("health-interval")),
      threshold: given["health-threshold"] ?? Number(ofHealth("health-threshold")),
    },
    drainMs: given["drain-time"] ?? parseDuration(replicatedDefaults["drain-time"]),
    proxyIdleTimeoutMs:
      given["proxy-idle-timeout"] ?? parseDuration(replicatedDefaults["proxy-idle-timeout"]),
    maxConnections: given["max-connections"] ?? null,
    proxyProtocol: given["proxy-protocol"] ?? null,
  };
}

/** Names of variables, as programs read them. dewy's own say other things. */
function parseNames(value: string): readonly string[] {
  const names = value.split(",").map((name) => name.trim());
  const wrong = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name.startsWith("DEWY_"));
  if (wrong !== undefined) throw invalid(`"${wrong}" cannot be the variable of a port`, "write PORT");
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`"${twice}" is given twice`, "each port has a variable of its own");
  return names;
}

const onlyBehindProxy = [
  "port-env",
  "replicas",
  "drain-time",
  "proxy-idle-timeout",
  "max-connections",
  "proxy-protocol",
] as const;

const notBehindProxy: readonly (readonly [string, string])[] = [
  ["rehearse", "leave it out: behind the proxy no client reaches a process before it is healthy"],
  [
    "health-passes",
    "leave it out: a process gets connections once it is healthy, and loses them when it is not",
  ],
];

/** What does not go with `--proxy`, or without it. `ports`: as they were read; `variables`: the environment's. */
export function proxyProblems(
  settings: Settings,
  ports: readonly ListenSpec[],
  killOldDelay: string | undefined,
) {
  const isGiven = (name: string): boolean => settings[name] !== undefined && settings[name] !== false;
  if (settings["proxy"] !== true) {
    return onlyBehindProxy.filter(isGiven).map((about): Problem => {
      return { message: `--${about} is about the proxy, and there is none`, hint: "add --proxy", about };
    });
  }
  const misplaced = notBehindProxy
    .filter(([about]) => isGiven(about))
    .map(([about, hint]): Problem => ({ message: `--${about} does not go with --proxy`, hint, about }));
  return [...misplaced, ...oldDelay(killOldDelay), ...portProblems(settings, ports)];
}

/** In the app's environment by server-starter's protocol, which the proxy takes the place of. */
function oldDelay(value: string | undefined): Problem[] {
  if (!value) return [];
  const hint = "unset it, and say with --drain-time how long an old process keeps its connections";
  return [{ message: "KILL_OLD_DELAY has no effect with --proxy", hint, about: "KILL_OLD_DELAY" }];
}

function portProblems(settings: Settings, ports: readonly ListenSpec[]): Problem[] {
  const about = "port";
  if (ports.length === 0) {
    const given = settings["port"];
    if (Array.isArray(given) && given.length > 0) return []; // what is wrong with them has been told
    return [{ message: "--proxy has no port to listen on", hint: "add --port 8000", about: "proxy" }];
  }
  if (ports.some(({ kind }) => kind === "unix")) {
    const hint = "leave --proxy out: the app takes the socket over by itself";
    return [{ message: "--proxy does not listen on unix sockets", hint, about }];
  }
  const numbers = ports.flatMap((spec) => (spec.kind === "tcp" ? [spec.port] : []));
  const twice = numbers.find((port, index) => numbers.indexOf(port) !== index);
  if (twice !== undefined) {
    return [{ message: `port ${twice} is given twice`, hint: "the proxy has one of each", about }];
  }
  return namesProblems(settings, numbers);
}

function namesProblems(settings: Settings, ports: readonly number[]): Problem[] {
  const given = settings["port-env"];
  const names = typeof given === "string" ? given.split(",") : [replicatedDefaults["port-env"]];
  if (names.length === ports.length) return [];
  const several = ports.map((port, index) => (index === 0 ? "PORT" : `PORT_${port}`)).join(",");
  return [
    {
      message: `--port-env names ${names.length === 1 ? "one variable" : `${names.length} variables`} for ${ports.length === 1 ? "one port" : `${ports.length} ports`}`,
      hint: `name one for each port, in the order of their numbers: --port-env ${several}`,
      about: "port-env",
    },
  ];
}
