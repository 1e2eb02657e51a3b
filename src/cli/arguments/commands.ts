import { configCommands } from "./config-command-specs.ts";
import { operatorCommands } from "./operator-commands.ts";

/** What a person can ask for. A new command is an entry here, its flags in flags.ts and a run in dispatch.ts. */
export interface CommandSpec {
  readonly name: string;
  /** Those that run an agent, and those that ask one; left out: neither. */
  readonly group?: "agent" | "operator";
  readonly summary: string;
  /** What stands behind `dewy <name>`. */
  readonly usage: string;
  /** The app's command, which its first positional argument begins even without `--`, or docker run options. */
  readonly behindDashes: "app" | "options" | null;
  /** The one word it takes; left out: none. */
  readonly argument?: CommandArgument;
  readonly about: string;
  readonly examples: readonly string[];
}

export interface CommandArgument {
  readonly name: string;
  readonly required: boolean;
  /** All there are; left out: any word. */
  readonly words?: readonly string[];
}

export const commands = [
  {
    name: "server",
    group: "agent",
    summary: "Deploy releases and run them as a service without losing a request",
    usage: "--registry URL [flags] -- COMMAND [ARG...]",
    behindDashes: "app",
    about:
      "Watches a registry, unpacks each new release under releases/, points the link `current` at it and " +
      "restarts COMMAND. dewy holds the listening sockets and hands them over, so no request is lost; the " +
      "old version serves until the new one has proved itself.",
    examples: [
      "dewy server --registry ghr://owner/repo -p 8000 -- ./current/myapp -v",
      "dewy server --registry file:///srv/releases -p 80,443 -- ./current/myapp",
      "dewy server --registry ghr://owner/repo -- ./current/worker   # a job worker",
    ],
  },
  {
    name: "assets",
    group: "agent",
    summary: "Deploy releases of files that another program serves",
    usage: "--registry URL [flags]",
    behindDashes: null,
    about:
      "Watches a registry, unpacks each new release under releases/ and points the link `current` at it. " +
      "Starts no app: use it for static files, and a hook to tell a web server.",
    examples: [
      "dewy assets --registry ghr://owner/site --interval 1m",
      'dewy assets --registry file:///srv/site --after-deploy-hook "./purge-cdn"',
      "dewy assets --registry ghr://owner/site --once   # one check, then exit",
    ],
  },
  {
    name: "container",
    group: "agent",
    summary: "Deploy images as containers behind a TCP proxy without losing a connection",
    usage: "--registry URL [flags] [-- DOCKER-RUN-OPTION...]",
    behindDashes: "options",
    about:
      "Watches an OCI registry and starts new containers beside the running ones when a new image is there. " +
      "Clients connect to dewy's proxy: a new container gets connections once it is healthy, an old one " +
      "keeps those it has until they end or --drain-time is over. Behind -- stand options of docker run.",
    examples: [
      "dewy container --registry img://ghcr.io/owner/app -p 80:8080 --health-path /up",
      "dewy container --registry img://ghcr.io/owner/app --replicas 3 -- -e MODE=live",
      "dewy container --registry 'img://docker.io/nginx?constraint=~1.27' -p 80:80",
    ],
  },
  {
    name: "container list",
    summary: "Show the containers that the agents on this host run",
    usage: "[--json] [--admin-port PORT]",
    behindDashes: null,
    about: "Asks the admin API of every agent on this host and lists their containers by name.",
    examples: ["dewy container list", "dewy container list --json"],
  },
  ...operatorCommands,
  ...configCommands,
] as const satisfies readonly CommandSpec[];

export type CommandName = (typeof commands)[number]["name"];
export const commandNames: readonly CommandName[] = commands.map((command) => command.name);

const all: readonly CommandSpec[] = commands;

export function commandSpec(name: CommandName): CommandSpec {
  const spec = all.find((command) => command.name === name);
  if (spec === undefined) throw new Error(`no command ${name}`);
  return spec;
}

export function commandsOf(group: CommandSpec["group"]): readonly CommandSpec[] {
  return all.filter((command) => command.group === group);
}

export function isCommand(word: string): word is CommandName {
  return commandNames.some((name) => name === word);
}

export const exitCodes: readonly (readonly [number, string])[] = [
  [0, "normal end"],
  [1, "configuration: a flag, a variable, a lock, a port; what can't be done now"],
  [2, "network or registry, or an agent that does not answer"],
  [3, "files and disk, output that can't be written, or another user's agent"],
  [
    4,
    "the app, its archive or anything else; of `dewy status`: the app is down, or no agent runs or answers",
  ],
  [130, "interrupted while it waited for an agent"],
];
