import { deploying, type FlagSpec } from "./spec.ts";

export const configFlags = [
  {
    name: "config",
    value: "FILE",
    commands: [...deploying, "check", "config check", "config show"],
    defaultText: "dewy.toml in the root, if it is there",
    group: "Agent",
    help: "File of flags and variables; what the command line says comes first",
  },
] as const satisfies readonly FlagSpec[];
