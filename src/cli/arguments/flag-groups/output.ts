import { deploying, everywhere, type FlagSpec, operator } from "./spec.ts";

export const outputFlags = [
  {
    name: "notifier",
    value: "URL",
    commands: deploying,
    repeats: true,
    group: "Output",
    help: "Who is told: slack://, smtp://, webhook+https://; on=deploy,error or quiet=true narrows it",
  },
  {
    name: "log-level",
    short: "l",
    value: "LEVEL",
    commands: deploying,
    default: "error",
    group: "Output",
    help: "debug, info, warn or error",
  },
  {
    name: "log-format",
    short: "f",
    value: "text|json",
    commands: [...deploying, "version"],
    default: "text",
    group: "Output",
    help: "Log records on stderr, as text or JSON",
  },
  {
    name: "json",
    value: null,
    commands: [...operator, "container list", "config check", "config show"],
    group: "Output",
    help: "Print JSON for scripts; an error too, beside what goes to stderr",
  },
  {
    name: "help",
    short: "h",
    value: null,
    commands: everywhere,
    group: "General",
    help: "Print this help; `dewy help COMMAND` for one command",
  },
  {
    name: "version",
    short: "v",
    value: null,
    commands: everywhere,
    group: "General",
    help: "Print the version",
  },
] as const satisfies readonly FlagSpec[];
