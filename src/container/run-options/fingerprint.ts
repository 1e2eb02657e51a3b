import type { PortMapping } from "../../replicas/ports.ts";
import type { Variables } from "./env-file.ts";
import type { RunOptions } from "./parse.ts";

/** What the operator chose for the container; the content of `--env-file` is read anew at each deploy and not in it. */
export interface OperatorChoice {
  readonly options: RunOptions;
  /** `--cmd`. */
  readonly command: readonly string[];
  readonly ports: readonly PortMapping[];
  /** dewy's own variables, for `-e NAME`. */
  readonly own: Variables;
  /** Who root images run as. */
  readonly agent: { readonly uid: number; readonly gid: number };
}

/** 12 hexadecimal digits; the same choice gives the same, whatever order its parts were made in. */
export function optionsFingerprint({ options, command, ports, own, agent }: OperatorChoice): string {
  const names = options.environment.env.filter((entry) => !entry.includes("="));
  const inherited = names.map((name) => [name, own[name] ?? null]);
  const containerPorts = [...new Set(ports.map((port) => port.appPort))].sort((a, b) => a - b);
  const text = JSON.stringify([options, command, containerPorts, inherited, agent], sortedKeys);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 12);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
