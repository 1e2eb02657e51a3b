import { type CommandName, commandNames } from "./commands.ts";

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

export type FlagGroup = "Release" | "App" | "Container" | "Proxy" | "Hook" | "Agent" | "Output" | "General";

const server = ["server"] as const;
const container = ["container"] as const;
const archives = ["server", "assets"] as const;
const deploying = ["server", "assets", "container"] as const;
const everywhere = [...commandNames, "version"] as const;

/** The one table of flags: parsing, help and the README are made from it. A default holds for all its commands. */
export const flags = [
  {
    name: "registry",
    value: "URL",
    commands: deploying,
    required: true,
    group: "Release",
    help: "Where releases are published: ghr://owner/repo, file:///dir; for container img://host/name",
  },
  {
    name: "calver",
    value: "FORMAT",
    commands: deploying,
    group: "Release",
    help: "Tags are calendar versions, such as YYYY.0M.0D.MICRO",
    defaultText: "SemVer",
  },
  {
    name: "slot",
    short: "s",
    value: "NAME",
    commands: deploying,
    group: "Release",
    help: "Only tags with this build metadata: blue takes v1.2.3+blue",
  },
  {
    name: "cache",
    short: "c",
    value: "URL",
    commands: deploying,
    default: "file",
    group: "Release",
    help: "Where downloads are kept: file or memory",
  },
  {
    name: "max-artifact-size",
    value: "SIZE",
    commands: archives,
    default: "2GiB",
    group: "Release",
    help: "Refuse larger downloads: 500MB, 2GiB or a number of bytes",
  },
  {
    name: "keep",
    value: "N",
    commands: deploying,
    default: "7",
    group: "Release",
    help: "Releases left on disk, or images; the active and the last good one always stay",
  },
  {
    name: "no-report",
    value: null,
    commands: archives,
    group: "Release",
    help: "Do not tell the registry what was deployed here",
  },
  {
    name: "port",
    short: "p",
    value: "PORTS",
    commands: server,
    repeats: true,
    group: "App",
    help:
      "Where the app listens: 8000, 8000-8005, 127.0.0.1:8000, [::1]:8000, unix:/path; several by commas. " +
      "Its descriptors 3, 4, … follow the numbers",
  },
  {
    name: "stop-timeout",
    value: "DURATION",
    commands: server,
    default: "30s",
    group: "App",
    help: "Time an old process gets to end before it is killed",
  },
  {
    name: "min-uptime",
    value: "DURATION",
    commands: server,
    default: "3s",
    group: "App",
    help: "How long a new version must stay up before the old one is told to stop",
  },
  {
    name: "name",
    short: "n",
    value: "NAME",
    commands: container,
    defaultText: "the image's",
    group: "Container",
    help: "The app's name, with which its containers' names begin",
  },
  {
    name: "runtime",
    value: "docker|podman",
    commands: container,
    default: "docker",
    group: "Container",
    help: "Which engine runs the containers",
  },
  {
    name: "replicas",
    value: "N",
    commands: container,
    default: "1",
    group: "Container",
    help: "How many containers serve",
  },
  {
    name: "cmd",
    value: "ARG",
    commands: container,
    repeats: true,
    group: "Container",
    help: "Replaces the image's CMD, a word each: --cmd serve --cmd=--verbose",
  },
  {
    name: "health-path",
    value: "PATH",
    commands: container,
    group: "Container",
    defaultText: "the image's HEALTHCHECK, or that its ports are served",
    help: "A container is healthy when GET answers 2xx or 3xx",
  },
  {
    name: "health-timeout",
    value: "DURATION",
    commands: container,
    default: "30s",
    group: "Container",
    help: "Time a new container gets to become healthy",
  },
  {
    name: "health-interval",
    value: "DURATION",
    commands: container,
    default: "10s",
    group: "Container",
    help: "Time between two checks of a container that serves",
  },
  {
    name: "health-threshold",
    value: "N",
    commands: container,
    default: "3",
    group: "Container",
    help: "Failed checks in a row after which a container is replaced",
  },
  {
    name: "drain-time",
    value: "DURATION",
    commands: container,
    default: "30s",
    group: "Container",
    help: "Time an old container's connections get to end; 0: none",
  },
  {
    name: "stop-timeout",
    value: "DURATION",
    commands: container,
    default: "10s",
    group: "Container",
    help: "Time a container gets to end before it is killed",
  },
  {
    name: "leave-running",
    value: null,
    commands: container,
    group: "Container",
    help: "Leave the containers running when dewy ends; the next one takes them over",
  },
  {
    name: "port",
    short: "p",
    value: "PORTS",
    commands: container,
    repeats: true,
    defaultText: "8000",
    group: "Proxy",
    help:
      "Where the proxy listens, and the container's port: 8000:8080, 127.0.0.1:8000:8080; several by commas. " +
      "Without a container port the image's EXPOSE is taken",
  },
  {
    name: "container-port",
    value: "PORT",
    commands: container,
    group: "Proxy",
    help: "The container's port of a single --port that names none",
  },
  {
    name: "proxy-idle-timeout",
    value: "DURATION",
    commands: container,
    default: "300s",
    group: "Proxy",
    help: "Connections on which nothing moves are closed after it; 0: never",
  },
  {
    name: "max-connections",
    value: "N",
    commands: container,
    defaultText: "what the limit of open files allows",
    group: "Proxy",
    help: "More clients wait until others have gone",
  },
  {
    name: "proxy-protocol",
    value: "v1|v2",
    commands: container,
    defaultText: "none",
    group: "Proxy",
    help: "Tell the app each client's address by haproxy's PROXY protocol",
  },
  {
    name: "admin-port",
    value: "PORT",
    commands: ["container", "container list"],
    default: "17539",
    group: "Agent",
    help: "Where the read-only admin API listens on 127.0.0.1; taken: the next of ten",
  },
  {
    name: "before-deploy-hook",
    value: "CMD",
    commands: deploying,
    group: "Hook",
    help: "Shell command before each deploy",
  },
  {
    name: "after-deploy-hook",
    value: "CMD",
    commands: deploying,
    group: "Hook",
    help: "Shell command after `current` has changed, or the new containers serve",
  },
  {
    name: "hook-failure",
    value: "continue|abort",
    commands: deploying,
    default: "continue",
    group: "Hook",
    help: "What a failing hook does to the deploy",
  },
  {
    name: "hook-timeout",
    value: "DURATION",
    commands: deploying,
    default: "10m",
    group: "Hook",
    help: "A hook that takes longer is stopped and has failed",
  },
  {
    name: "interval",
    short: "i",
    value: "DURATION",
    commands: deploying,
    default: "10s",
    group: "Agent",
    help: "Time between two checks: 10, 10s, 5m, 1h30m; at least 1s",
  },
  {
    name: "once",
    value: null,
    commands: archives,
    group: "Agent",
    help: "Check and deploy once, then exit; `server` does not start the app",
  },
  {
    name: "root",
    value: "DIR",
    commands: [...deploying, "status", "retry"],
    default: ".",
    defaultText: "the working directory",
    group: "Agent",
    help: "Directory that holds releases/, current and .dewy/",
  },
  {
    name: "notifier",
    value: "URL",
    commands: deploying,
    repeats: true,
    group: "Output",
    help: "Who is told about deploys and errors",
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
    commands: ["status", "container list"],
    group: "Output",
    help: "Print JSON for scripts",
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

const all: readonly FlagSpec[] = flags;

/**
 * A flag by its name. Commands may give one name different meanings (two entries), but whether it takes a value,
 * repeats, and its short form must agree: flags may stand before the command.
 */
export function flagByName(name: string): FlagSpec | undefined {
  return all.find((flag) => flag.name === name);
}

export function flagByShort(letter: string): FlagSpec | undefined {
  return all.find((flag) => flag.short === letter);
}

export function flagsOf(owner: FlagOwner): readonly FlagSpec[] {
  return all.filter((flag) => flag.commands.includes(owner));
}

export function ownersOf(name: string): readonly FlagOwner[] {
  return all.filter((flag) => flag.name === name).flatMap((flag) => flag.commands);
}
