import type { Problem } from "../../config/problem.ts";
import { type CommandName, commandSpec, isCommand } from "./commands.ts";
import type { FlagOwner, FlagSpec } from "./flag-groups/spec.ts";
import { flagByName, flagByShort, ownersOf, takesFlag } from "./flags.ts";
import { closestFlag, commandHint, isFlagLike, unknownFlagHint } from "./hints.ts";

/** The raw arguments, read once and checked against the table of flags. */
export interface Tokens {
  readonly command: CommandName | null;
  /** Whether they ask for the help (of this command or of all), the version, or to run the command. */
  readonly request: "help" | "version" | "run";
  /** By flag name, in order; a switch has "true" or "false". Empty for a flag that was written without its value. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** After an unknown flag nobody knows whether the next word was its value or the first of the app's command. */
  readonly guessing: boolean;
  /** The word that the command takes; null: it takes none, or none is given. */
  readonly argument: string | null;
  /** The app's command, or the options of docker run. */
  readonly behind: readonly string[];
  readonly problems: readonly Problem[];
}

/**
 * Reads the arguments before citty does: citty accepts unknown flags, keeps only the last of a repeated one, takes
 * the next flag as a value, knows camelCase and merges `--` with what stands before it. Never throws.
 */
export function readTokens(argv: readonly string[]): Tokens {
  return new Reader(argv).read();
}

class Reader {
  readonly #argv: readonly string[];
  readonly #values = new Map<string, string[]>();
  readonly #problems: Problem[] = [];
  readonly #behind: string[] = [];
  /** Of flags that were written as a letter before the command. */
  readonly #letters = new Map<string, string>();
  /** Words behind `dewy help`; null unless that was asked. */
  #topics: string[] | null = null;
  #command: CommandName | null = null;
  #argument: string | null = null;
  #unknownCommand = false;
  #guessing = false;
  #at = 0;

  constructor(argv: readonly string[]) {
    this.#argv = argv;
  }

  read(): Tokens {
    while (this.#at < this.#argv.length) {
      const token = this.#argv[this.#at++] ?? "";
      if (token === "--") this.#rest(this.#argv.slice(this.#at));
      else if (token.startsWith("--")) this.#long(token.slice(2));
      else if (token.length > 1 && token.startsWith("-")) this.#short(token.slice(1));
      else this.#word(token);
    }
    const request = this.#request();
    if (request === "help") this.#checkTopic();
    else this.#checkFlags();
    if (request === "run") this.#checkCommand();
    return {
      command: this.#command,
      request,
      values: this.#values,
      guessing: this.#guessing,
      argument: this.#argument,
      behind: this.#behind,
      problems: this.#problems,
    };
  }

  #request(): Tokens["request"] {
    if (this.#topics !== null || this.#values.get("help")?.includes("true")) return "help";
    return this.#values.get("version")?.includes("true") ? "version" : "run";
  }

  /** Who asks for help gets it, whatever else is wrong with the line. */
  #checkTopic(): void {
    this.#problems.length = 0;
    const [word, next] = this.#topics ?? [];
    if (word === undefined) return;
    const both = `${word} ${next}`;
    if (isCommand(both)) this.#command = both;
    else if (isCommand(word)) this.#command = word;
    else this.#problem(`there is no help on "${word}"`, commandHint(word));
  }

  #problem(message: string, hint?: string): void {
    this.#problems.push({ message, hint });
  }

  #long(text: string): void {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    const flag = flagByName(name);
    if (flag === undefined) this.#unknown(`--${name}`, name, equals >= 0);
    else this.#flag(flag, `--${name}`, equals < 0 ? null : text.slice(equals + 1));
  }

  /** `-p 8000`, `-p=8000`, `-p8000`; no bundles. `-port` is a long flag with a dash missing. */
  #short(text: string): void {
    const letter = text[0] ?? "";
    const word = text.split("=", 1)[0] ?? "";
    const flag = flagByShort(letter, this.#command);
    const looksLong = word.length > 1 && flagByName(word) !== undefined;
    const bundled = flag?.value === null && text.length > 1 && text[1] !== "=";
    if (flag === undefined || looksLong || bundled) this.#unknown(`-${word}`, word, text.includes("="));
    else {
      if (this.#command === null) this.#letters.set(flag.name, letter);
      this.#flag(flag, `-${letter}`, text.length === 1 ? null : text.slice(1).replace(/^=/, ""));
    }
  }

  #flag(flag: FlagSpec, written: string, attached: string | null): void {
    const value =
      flag.value === null ? this.#switchValue(written, attached) : this.#value(flag, written, attached);
    if (value === null) return;
    const values = this.#values.get(flag.name) ?? [];
    this.#values.set(flag.name, [...values, value]);
    if (values.length > 0 && flag.repeats !== true) {
      this.#problem(`--${flag.name} is given more than once`, "write it once");
    }
  }

  #switchValue(written: string, attached: string | null): string | null {
    if (attached === null) return "true";
    if (attached === "true" || attached === "false") return attached;
    this.#problem(`${written} takes no value but true or false, not "${attached}"`, `write ${written}`);
    return null;
  }

  #value(flag: FlagSpec, written: string, attached: string | null): string | null {
    const next = attached === null ? (this.#argv[this.#at] ?? "") : "";
    const value = attached ?? this.#nextWord() ?? "";
    if (value !== "") return value;
    // An entry all the same: a flag that was written is not also missing.
    this.#values.set(flag.name, this.#values.get(flag.name) ?? []);
    const dashed = isFlagLike(next) && next !== "--" && flagByName(next.slice(2)) === undefined;
    const joined = dashed ? `, or --${flag.name}=VALUE for a value that begins with "-"` : "";
    this.#problem(`${written} needs a value`, `write --${flag.name} ${flag.value}${joined}`);
    return null;
  }

  /** Takes the next token if it can be a value. */
  #nextWord(): string | undefined {
    const next = this.#argv[this.#at];
    if (next === undefined || isFlagLike(next)) return undefined;
    this.#at++;
    return next;
  }

  #unknown(written: string, name: string, hasValue: boolean): void {
    const close = closestFlag(name, this.#command);
    this.#problem(`unknown flag ${written}`, unknownFlagHint(written, name, close));
    this.#guessing = true;
    const next = this.#argv[this.#at] ?? "";
    const isSwitch = close !== null && flagByName(close)?.value === null;
    const beginsCommand = this.#command === null && (isCommand(next) || next === "help");
    if (!hasValue && !isSwitch && !beginsCommand) this.#nextWord();
  }

  #word(token: string): void {
    if (this.#topics !== null) this.#topics.push(token);
    else if (this.#command === null) this.#commandWord(token);
    else if (isCommand(`${this.#command} ${token}`)) this.#commandWord(`${this.#command} ${token}`);
    else if (commandSpec(this.#command).behindDashes === "app") {
      this.#rest(this.#argv.slice(this.#at - 1));
    } else if (commandSpec(this.#command).argument !== undefined && this.#argument === null) {
      this.#argument = token;
    } else this.#problem(`unexpected "${token}"`, this.#wordHint(this.#command));
  }

  #wordHint(command: CommandName): string {
    const { behindDashes, argument } = commandSpec(command);
    if (argument !== undefined) return `dewy ${command} takes one ${argument.name}`;
    return behindDashes === "options"
      ? "the image comes from --registry, its command is --cmd, and options of docker run stand behind --"
      : `dewy ${command} takes flags only`;
  }

  #commandWord(token: string): void {
    if (token === "help") this.#topics = [];
    else if (isCommand(token)) this.#command = token;
    else if (isCommand(`${token} ${this.#argv[this.#at]}`))
      this.#commandWord(`${token} ${this.#argv[this.#at++]}`);
    else if (!this.#unknownCommand) {
      this.#unknownCommand = true;
      this.#problem(`unknown command "${token}"`, commandHint(token));
    }
  }

  #rest(tokens: readonly string[]): void {
    this.#behind.push(...tokens);
    this.#at = this.#argv.length;
  }

  /** Flags may stand before the command, so whose they are is known only now. */
  #checkFlags(): void {
    const owner: FlagOwner | null = this.#command ?? (this.#request() === "version" ? "version" : null);
    if (owner === null) return;
    this.#readLetters(owner);
    for (const name of this.#values.keys()) {
      const owners = ownersOf(name);
      if (takesFlag(owner, name)) continue;
      const where = owners.filter((other) => other !== "version").join(" and ");
      const place = owner === "version" ? "does not go with --version" : `is no flag of ${owner}`;
      this.#problem(`--${name} ${place}`, `it belongs to ${where}`);
    }
  }

  /** A letter before the command was taken for whichever flag has it. */
  #readLetters(owner: FlagOwner): void {
    for (const [name, values] of this.#values) {
      const letter = this.#letters.get(name);
      const meant = letter === undefined ? undefined : flagByShort(letter, owner);
      if (meant === undefined || meant.name === name || ownersOf(name).includes(owner)) continue;
      this.#values.delete(name);
      this.#values.set(meant.name, [...(this.#values.get(meant.name) ?? []), ...values]);
    }
  }

  #checkArgument(command: CommandName): void {
    const { argument } = commandSpec(command);
    if (argument === undefined) return;
    const { name, required, words } = argument;
    const given = this.#argument;
    if (given === null) {
      if (required)
        this.#problem(`dewy ${command} needs a ${name}`, `write dewy ${command} ${words?.join("|") ?? name}`);
    } else if (words !== undefined && !words.includes(given)) {
      this.#problem(`"${given}" is no ${name} that is known`, `write ${words.join(", ")}`);
    }
  }

  #checkCommand(): void {
    if (this.#command !== null) this.#checkArgument(this.#command);
    if (this.#command === null) {
      if (!this.#unknownCommand) this.#problem("no command is given", commandHint(""));
    } else if (commandSpec(this.#command).behindDashes === null && this.#behind.length > 0) {
      this.#problem(`${this.#command} runs no app`, "remove what stands behind --, or use dewy server");
    }
  }
}
