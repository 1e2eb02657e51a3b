import { nearest } from "../../util/suggest.ts";
import { type CommandName, commandNames } from "./commands.ts";
import { flagByName, flags, flagsOf } from "./flags.ts";

export function isFlagLike(token: string): boolean {
  return token.length > 1 && token.startsWith("-");
}

export function commandHint(word: string): string {
  const close = nearest(word, commandNames);
  const longer = commandNames.filter((name) => name.startsWith(`${word} `));
  if (longer.length > 0) return `write dewy ${longer.join(", or dewy ")}`;
  return close === null ? "`dewy help` names the commands" : `did you mean ${close}?`;
}

/** Flags of this command before those of others. */
export function closestFlag(name: string, command: CommandName | null): string | null {
  const own = command === null ? [] : flagsOf(command).map((flag) => flag.name);
  return (
    nearest(name, own) ??
    nearest(
      name,
      flags.map((flag) => flag.name),
    )
  );
}

export function unknownFlagHint(written: string, name: string, close: string | null): string {
  if (!written.startsWith("--") && flagByName(name) !== undefined) return `write --${name}`;
  const positive = name.startsWith("no-") ? flagByName(name.slice(3)) : undefined;
  if (positive !== undefined) return `--${positive.name} has no opposite: leave it out`;
  return close === null ? "see dewy help" : `did you mean --${close}?`;
}
