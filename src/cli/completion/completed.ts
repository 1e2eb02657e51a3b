import { type CommandSpec, commandNames, commandSpec } from "../arguments/commands.ts";
import type { FlagSpec } from "../arguments/flag-groups/spec.ts";
import { flagsOf } from "../arguments/flags.ts";

/** What a shell is to know of a command. */
export interface Completed {
  /** Its words: `container list` has two. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly flags: readonly CompletedFlag[];
  /** The words its argument may be. */
  readonly argument: readonly string[];
  /** An app's command may follow. */
  readonly runsApp: boolean;
}

export interface CompletedFlag {
  readonly name: string;
  readonly short: string | null;
  readonly help: string;
  /** null: it takes none. `words`: all it may be; else what stands for them. */
  readonly value:
    | null
    | { readonly kind: "words"; readonly words: readonly string[] }
    | { readonly kind: "directory" | "file" | "any" };
}

export function completedCommands(): Completed[] {
  const whole = commandNames.map((name): Completed => {
    const spec: CommandSpec = commandSpec(name);
    return {
      words: name.split(" "),
      summary: spec.summary,
      flags: flagsOf(name).map(completedFlag),
      argument: spec.argument?.words ?? [],
      runsApp: spec.behindDashes === "app",
    };
  });
  return [...whole, ...beginnings(whole)];
}

/** Words that are no commands by themselves: `config` of `config check`. */
function beginnings(commands: readonly Completed[]): Completed[] {
  const known = commands.map(({ words }) => words.join(" "));
  const firsts = new Set(commands.map(({ words }) => words[0] ?? ""));
  return [...firsts]
    .filter((first) => !known.includes(first))
    .map((first) => {
      const seconds = commands.flatMap(({ words }) => (words[0] === first ? (words[1] ?? []) : []));
      return { words: [first], summary: seconds.join(", "), flags: [], argument: [], runsApp: false };
    });
}

function completedFlag({ name, short, help, value }: FlagSpec): CompletedFlag {
  return { name, short: short ?? null, help, value: value === null ? null : valueKind(value) };
}

function valueKind(shown: string): NonNullable<CompletedFlag["value"]> {
  if (shown === "LEVEL") return { kind: "words", words: ["debug", "info", "warn", "error"] };
  if (/^[a-z]+(\|[a-z]+)+$/.test(shown)) return { kind: "words", words: shown.split("|") };
  if (shown === "DIR") return { kind: "directory" };
  if (shown === "FILE") return { kind: "file" };
  return { kind: "any" };
}

/** A word behind one of them is its value and no command. */
export function valuedFlags(commands: readonly Completed[]): CompletedFlag[] {
  const all = commands.flatMap(({ flags }) => flags.filter(({ value }) => value !== null));
  return all.filter((flag, index) => all.findIndex(({ name }) => name === flag.name) === index);
}

export function spellingsOf({ name, short }: CompletedFlag): string[] {
  return short === null ? [`--${name}`] : [`--${name}`, `-${short}`];
}
