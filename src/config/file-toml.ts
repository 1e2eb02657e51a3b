import { messageOf } from "../errors.ts";
import type { Problem } from "./problem.ts";

export type TomlTable = Readonly<Record<string, unknown>>;

/** A TOML text → its table, or what is wrong with it and in which line. */
export function parseToml(text: string): { readonly table: TomlTable } | { readonly problem: Problem } {
  try {
    return { table: Object.fromEntries(Object.entries(Bun.TOML.parse(text))) };
  } catch (error) {
    const what = messageOf(error).replace(/^TOML Parse error: /, "");
    return { problem: { message: `line ${faultyLine(text)}: ${what}` } };
  }
}

/** Bun's parser doesn't say where it stopped; the statement behind the last lines that it can read is what is wrong. */
function faultyLine(text: string): number {
  const lines = text.split("\n");
  for (let count = lines.length; count > 0; count--) {
    if (!isReadable(lines.slice(0, count).join("\n"))) continue;
    const behind = lines.findIndex((line, index) => index >= count && !/^\s*(#.*)?$/.test(line));
    return (behind < 0 ? count : behind) + 1;
  }
  return lines.findIndex((line) => !/^\s*(#.*)?$/.test(line)) + 1;
}

function isReadable(text: string): boolean {
  try {
    Bun.TOML.parse(text);
    return true;
  } catch {
    return false;
  }
}
