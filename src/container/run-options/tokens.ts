import { nearest } from "../../util/suggest.ts";
import type { OptionSpec } from "./option.ts";
import type { Problem } from "./problem.ts";
import { optionByName, optionByShort, takenNames } from "./table.ts";
import { booleanOf } from "./values.ts";

/** An option as it was given. */
export interface Given {
  readonly option: OptionSpec;
  /** With its dashes. */
  readonly written: string;
  /** A switch's is `true` or `false`. */
  readonly value: string;
}

/** The arguments in their order, split as docker's own flags do it (spf13/pflag); problems for what is no option. */
export function readTokens(args: readonly string[]): readonly (Given | Problem)[] {
  return new Reader(args).read();
}

class Reader {
  readonly #args: readonly string[];
  readonly #found: (Given | Problem)[] = [];
  #at = 0;

  constructor(args: readonly string[]) {
    this.#args = args;
  }

  read(): readonly (Given | Problem)[] {
    while (this.#at < this.#args.length) {
      const token = this.#args[this.#at++] ?? "";
      if (token.startsWith("--") && token !== "--") this.#long(token.slice(2));
      else if (token.startsWith("-") && token.length > 1 && token !== "--") this.#short(token.slice(1));
      else if (!this.#positional(token)) break;
    }
    return this.#found;
  }

  #long(text: string): void {
    const [name, attached] = cutAtEquals(text);
    const option = optionByName(name);
    if (option === undefined) this.#unknown(`--${name}`, name, attached !== null);
    else this.#take(option, `--${name}`, attached);
  }

  /** `-e A=1`, `-eA=1`, `-e=A=1`; several switches and at last one with a value, as in `-itp 80:80`. */
  #short(text: string): void {
    const [word] = cutAtEquals(text);
    // One dash is missing: `-memory` would be `-m emory`.
    const looksLong = word.length > 1 && optionByName(word) !== undefined;
    if (looksLong) this.#unknown(`-${word}`, word, text !== word);
    else for (let at = 0; at < text.length; at = this.#letter(text, at));
  }

  /** One letter of a bundle; answers where the next one stands. */
  #letter(text: string, at: number): number {
    const letter = text[at] ?? "";
    const rest = text.slice(at + 1);
    const option = optionByShort(letter);
    if (option === undefined) this.#unknown(`-${letter}`, null, rest !== "");
    else if (option.kind === "switch" && !rest.startsWith("=")) {
      this.#take(option, `-${letter}`, null);
      return at + 1;
    } else this.#take(option, `-${letter}`, rest === "" ? null : rest.replace(/^=/, ""));
    return text.length;
  }

  #take(option: OptionSpec, written: string, attached: string | null): void {
    if ("refused" in option.rule) {
      // Its value, if it has one, is no image.
      if (option.kind === "value" && attached === null) this.#next();
      this.#found.push({ option, written, value: "" });
      return;
    }
    const value = option.kind === "switch" ? this.#switch(written, attached) : (attached ?? this.#next());
    if (value === null) {
      if (option.kind === "value") this.#problem(`${written} needs a value`);
    } else if (value === "" && option.mayBeEmpty !== true) {
      this.#problem(`${written} has an empty value`, "write a value, or leave the option out");
    } else this.#found.push({ option, written, value });
  }

  #switch(written: string, attached: string | null): string | null {
    try {
      return String(attached === null || booleanOf(attached));
    } catch {
      this.#problem(`${written} takes no value but true or false`, `write ${written} or ${written}=false`);
      return null;
    }
  }

  /** The word behind an option; null when there is none, or it is an option itself. */
  #next(): string | null {
    const next = this.#args[this.#at];
    if (next === undefined || isOption(next)) return null;
    this.#at++;
    return next;
  }

  /** Nobody knows whether an unknown option takes the next word as its value. */
  #unknown(written: string, name: string | null, hasValue: boolean): void {
    const meant = name === null ? null : nearest(name, takenNames);
    this.#problem(
      `${written} is not an option of docker run`,
      meant === null ? "see `docker run --help`" : `did you mean --${meant}?`,
    );
    if (!hasValue && this.#args[this.#at]?.startsWith("-") === false) this.#at++;
  }

  /**
   * What follows an image's name is its command, so nothing more is read. The word itself is not shown: an unquoted
   * blank in a password makes one, too.
   */
  #positional(token: string): boolean {
    if (token === "--" && this.#at === this.#args.length) return true;
    this.#problem(
      `argument ${this.#at} after the -- belongs to no option`,
      "the image comes from the registry and its command from --cmd; put a value that has blanks into quotes",
    );
    return false;
  }

  #problem(message: string, hint?: string): void {
    this.#found.push({ message, hint });
  }
}

function cutAtEquals(text: string): [name: string, value: string | null] {
  const at = text.indexOf("=");
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
}

/** `-1` is a value, `-e` is not. */
function isOption(token: string): boolean {
  if (token === "--") return true;
  if (token.startsWith("--")) return optionByName(cutAtEquals(token.slice(2))[0]) !== undefined;
  return /^-[a-z]$/i.test(token) && optionByShort(token.slice(1)) !== undefined;
}
