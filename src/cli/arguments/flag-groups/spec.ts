import { type CommandName, commandNames } from "../commands.ts";

/** `version` is no command, but `dewy --version` takes a flag too. */
export type FlagOwner = CommandName | "version";

export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  /** What its value looks like, for the help; null: a switch, off unless given. */
  readonly value: string | null;
  readonly commands: readonly FlagOwner[];
  /** As an operator would write it. */
  readonly default?: string;
  /** The default in words, where it is not a value. */
  readonly defaultText?: string;
  readonly required?: boolean;
  readonly repeats?: boolean;
  readonly group: FlagGroup;
  readonly help: string;
}

export type FlagGroup =
  | "Release"
  | "App"
  | "Health"
  | "Container"
  | "Proxy"
  | "Schedule"
  | "Hook"
  | "Agent"
  | "Telemetry"
  | "Operator"
  | "Output"
  | "General";

export const server = ["server"] as const;
export const container = ["container"] as const;
export const archives = ["server", "assets"] as const;
export const deploying = ["server", "assets", "container"] as const;
export const operator = [
  "status",
  "history",
  "check",
  "deploy",
  "rollback",
  "hold",
  "resume",
  "retry",
  "restart",
  "reload",
  "logs",
] as const;
export const everywhere = [...commandNames, "version"] as const;
