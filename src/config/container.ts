import * as v from "valibot";
import { parseRunOptions, type RunOptions } from "../container/run-options/parse.ts";
import { type CommonConfig, commonEntries, toCommon } from "./common.ts";
import { parsePath } from "./health.ts";
import { type ProxyPort, parseProxyPorts } from "./proxy-ports.ts";
import { asIs, choice, text, texts } from "./schema.ts";
import { durationFrom, parseBaseName, wholeFrom } from "./values.ts";

export interface ContainerConfig extends CommonConfig {
  readonly command: "container";
  /** null: the image's. */
  readonly name: string | null;
  readonly runtime: "docker" | "podman";
  readonly replicas: number;
  /** Replaces the image's CMD; empty: it stays. */
  readonly cmd: readonly string[];
  readonly health: {
    readonly path: string | null;
    readonly timeoutMs: number;
    readonly intervalMs: number;
    readonly threshold: number;
  };
  readonly drainMs: number;
  readonly stopTimeoutMs: number;
  readonly leaveRunning: boolean;
  readonly ports: readonly ProxyPort[];
  /** 0: never. */
  readonly proxyIdleTimeoutMs: number;
  /** null: what the limit of open files allows. */
  readonly maxConnections: number | null;
  readonly proxyProtocol: "v1" | "v2" | null;
  readonly adminPort: number;
  readonly runOptions: RunOptions;
}

/** Keys are the names of flags; `runOptions` is what stands behind `--`. */
const entries = {
  ...commonEntries,
  name: v.optional(text(parseBaseName)),
  runtime: choice(["docker", "podman"]),
  replicas: text(wholeFrom(1, 100)),
  cmd: v.array(v.string()),
  "health-path": v.optional(text(parsePath)),
  "health-timeout": text(durationFrom(1000)),
  "health-interval": text(durationFrom(1000)),
  "health-threshold": text(wholeFrom(1)),
  "drain-time": text(durationFrom(0)),
  "stop-timeout": text(durationFrom(0)),
  "leave-running": v.boolean(),
  // Read again below, with the container port: what is wrong here is to be told with all the rest.
  port: texts((values) => ({ value: values, problems: parseProxyPorts(values, null).problems })),
  "container-port": v.optional(text(asIs)),
  "proxy-idle-timeout": text(durationFrom(0)),
  "max-connections": v.optional(text(wholeFrom(1))),
  "proxy-protocol": v.optional(choice(["v1", "v2"])),
  "admin-port": text(wholeFrom(1, 65535)),
  runOptions: texts((values) => {
    const { options, problems } = parseRunOptions(values);
    return { value: options, problems };
  }),
};

const input = v.strictObject(entries);

export const containerSchema = v.pipe(
  input,
  v.rawTransform<v.InferOutput<typeof input>, ContainerConfig>(({ dataset, addIssue, NEVER }) => {
    const { value } = dataset;
    const { ports, problems } = parseProxyPorts(value.port, value["container-port"] ?? null);
    for (const { message, hint } of problems) {
      addIssue({ message: `${message}; ${hint}`, path: [portPath(value)] });
    }
    return problems.length === 0 ? toContainer(value, ports) : NEVER;
  }),
);

function portPath(value: v.InferOutput<typeof input>): v.ObjectPathItem {
  return { type: "object", origin: "value", input: value, key: "port", value: value.port };
}

function toContainer(given: v.InferOutput<typeof input>, ports: readonly ProxyPort[]): ContainerConfig {
  return {
    command: "container",
    ...toCommon(given),
    name: given.name ?? given.runOptions.name ?? null,
    runtime: given.runtime,
    replicas: given.replicas,
    cmd: given.cmd,
    health: {
      path: given["health-path"] ?? null,
      timeoutMs: given["health-timeout"],
      intervalMs: given["health-interval"],
      threshold: given["health-threshold"],
    },
    drainMs: given["drain-time"],
    stopTimeoutMs: given["stop-timeout"],
    leaveRunning: given["leave-running"],
    ports,
    proxyIdleTimeoutMs: given["proxy-idle-timeout"],
    maxConnections: given["max-connections"] ?? null,
    proxyProtocol: given["proxy-protocol"] ?? null,
    adminPort: given["admin-port"],
    runOptions: given.runOptions,
  };
}
