import type { CommandSpec } from "./commands.ts";

const where = "[--root DIR | --all] [--json]";

/** What an operator asks of the agent of a directory, over its socket. */
export const operatorCommands = [
  {
    name: "status",
    group: "operator",
    summary: "Show what runs here, how it is, and why no newer release does",
    usage: where,
    behindDashes: null,
    about:
      "Asks the running agent, and reads what is on disk where none runs; changes nothing. Exit code 0: an agent " +
      "runs and so does its app, whatever else is shown; 4: the app is down, or no agent runs or answers; 1: no agent " +
      "has ever run there. With --all the worst of them.",
    examples: ["dewy status --root /srv/myapp", "dewy status --all", "dewy status --json"],
  },
  {
    name: "history",
    group: "operator",
    summary: "Show the deploys of this directory, the last one first",
    usage: "[-n N] [--root DIR | --all] [--json]",
    behindDashes: null,
    about: "Reads .dewy/history.jsonl, whether an agent runs or not.",
    examples: ["dewy history -n 5", "dewy history --json"],
  },
  {
    name: "check",
    group: "operator",
    summary: "Say what a check would do now and why, without doing it",
    usage: "[--root DIR | --all | --config FILE | --registry URL] [--json]",
    behindDashes: null,
    about:
      "Asks the registry by way of the running agent. Where none runs it is asked from here, as dewy.toml says or else " +
      "as the last agent did, with the credentials of this environment and the file. With --config or --registry it is " +
      "always asked from here. Changes nothing.",
    examples: ["dewy check --root /srv/myapp", "dewy check --registry ghr://owner/repo"],
  },
  {
    name: "deploy",
    group: "operator",
    summary: "Deploy one release now, and wait until it serves",
    usage: "TAG [--root DIR] [--json]",
    behindDashes: null,
    argument: { name: "TAG", required: true },
    about:
      "The agent fetches and checks the release like every other. A window, a minimum age or a quarantine does not hold it " +
      "back. Interrupting this command does not stop a deploy that has begun.",
    examples: ["dewy deploy v1.4.2"],
  },
  {
    name: "rollback",
    group: "operator",
    summary: "Go back to the last good release, or to the one that is named",
    usage: "[TAG] [--root DIR] [--json]",
    behindDashes: null,
    argument: { name: "TAG", required: false },
    about:
      "Takes the release from those kept here, then from the cache, then from the registry. The agent holds there until " +
      "`dewy resume`, or until a release comes that is newer than the one left. Once more, without a TAG, it goes further " +
      "back; where nothing older is kept, on again to the newest that is.",
    examples: ["dewy rollback", "dewy rollback v1.4.1"],
  },
  {
    name: "hold",
    group: "operator",
    summary: "Deploy nothing new until told otherwise",
    usage: "[--until TIME] [--reason TEXT] [--root DIR | --all] [--json]",
    behindDashes: null,
    about: "The app goes on running. The hold survives a restart of the agent; `dewy resume` ends it.",
    examples: ["dewy hold --until 17:00 --reason 'incident 42'", "dewy hold --until 2h --all"],
  },
  {
    name: "resume",
    group: "operator",
    summary: "End a hold, of an operator or after a rollback",
    usage: where,
    behindDashes: null,
    about: "The newest release is deployed at the agent's next check, if nothing else holds it back.",
    examples: ["dewy resume", "dewy resume --all"],
  },
  {
    name: "retry",
    group: "operator",
    summary: "Lift the quarantine of failed releases so that they are tried again",
    usage: where,
    behindDashes: null,
    about:
      "A release that keeps failing is set aside until something changes. This lets the agent try it again; where no " +
      "agent runs, the next one does.",
    examples: ["dewy retry --root /srv/myapp"],
  },
  {
    name: "restart",
    group: "operator",
    summary: "Restart the app without losing a request",
    usage: where,
    behindDashes: null,
    about: "The same release anew, started beside the running one and put in its place once it serves.",
    examples: ["dewy restart"],
  },
  {
    name: "reload",
    group: "operator",
    summary: "Let the agent read its configuration file anew",
    usage: where,
    behindDashes: null,
    about: "A file with a mistake in it is refused, and the agent goes on as before.",
    examples: ["dewy reload"],
  },
  {
    name: "logs",
    group: "operator",
    summary: "Show what the agent logged last, below its --log-level too",
    usage: "[-n N] [--level LEVEL] [--follow] [--root DIR] [--json]",
    behindDashes: null,
    about:
      "The agent keeps its last 1000 records, or 256 KiB of them, in memory. The app's own output is not among them. " +
      "--follow ends with the agent, with exit code 0: start it anew for the next one.",
    examples: ["dewy logs -n 20", "dewy logs --level warn", "dewy logs --follow"],
  },
  {
    name: "completion",
    summary: "Print the completion script of a shell",
    usage: "bash|zsh|fish",
    behindDashes: null,
    argument: { name: "SHELL", required: true, words: ["bash", "zsh", "fish"] },
    about: "For bash, zsh or fish: commands, flags and their values are completed.",
    examples: [
      "source <(dewy completion bash)",
      "dewy completion zsh > ~/.zfunc/_dewy",
      "dewy completion fish > ~/.config/fish/completions/dewy.fish",
    ],
  },
] as const satisfies readonly CommandSpec[];
