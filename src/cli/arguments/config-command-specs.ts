import type { CommandSpec } from "./commands.ts";

const argument = { name: "COMMAND", required: false, words: ["server", "assets", "container"] } as const;
const usage = "[COMMAND] [--config FILE | --root DIR] [--json]";

/** What a person asks of a configuration file. */
export const configCommands = [
  {
    name: "config check",
    summary: "Say whether the configuration file is right, and all that is wrong with it",
    usage,
    behindDashes: null,
    argument,
    about:
      "Reads dewy.toml of the root, or the file that --config names, and the files and variables it refers to. Starts " +
      "nothing, asks nobody and changes nothing. COMMAND is server, assets or container; it may be left out where the " +
      "file has the key `command`.",
    examples: ["dewy config check", "dewy config check server --config /etc/dewy/myapp.toml"],
  },
  {
    name: "config show",
    summary: "Show the configuration an agent would run with, and where each value comes from",
    usage,
    behindDashes: null,
    argument,
    about:
      "COMMAND is server, assets or container; it may be left out where the file has the key `command`. The command " +
      "line comes before the environment, the file and the defaults, and takes the agent's flags too. What an agent " +
      "would still lack is shown as -, secrets as an ellipsis.",
    examples: ["dewy config show", "dewy config show server --interval 1m --json"],
  },
] as const satisfies readonly CommandSpec[];
