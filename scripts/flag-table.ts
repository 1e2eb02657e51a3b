import { commandNames } from "../src/cli/arguments/commands.ts";
import type { FlagSpec } from "../src/cli/arguments/flag-groups/spec.ts";
import { flags } from "../src/cli/arguments/flags.ts";

/**
 * The table of flags in README.md, between the two markers. Without an argument it is printed; `--write` puts it
 * into README.md; `--check` exits 1 when README.md has another one.
 */
const start = "<!-- flags:start -->";
const end = "<!-- flags:end -->";
export const readmePath = `${import.meta.dir}/../README.md`;

export function flagTable(): string {
  const rows = flags.map((flag: FlagSpec) => [names(flag), owners(flag), fallback(flag), escaped(flag.help)]);
  return [["flag", "commands", "default", "meaning"], ["---", "---", "---", "---"], ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

function names(flag: FlagSpec): string {
  const long = `--${flag.name}${flag.value === null ? "" : ` ${flag.value}`}`;
  return code(flag.short === undefined ? long : `${long}, -${flag.short}`);
}

function owners(flag: FlagSpec): string {
  const own = flag.commands.filter((owner) => owner !== "version");
  const text = own.length === commandNames.length ? "all" : own.join(", ");
  // --help and --version need no command; --log-format also shapes what --version prints.
  return flag.commands.includes("version") && own.length < commandNames.length
    ? `${text}, \`--version\``
    : text;
}

function fallback(flag: FlagSpec): string {
  if (flag.required === true) return "required";
  if (flag.defaultText !== undefined) return flag.defaultText;
  if (flag.default !== undefined) return code(flag.default);
  if (flag.value === null) return "off";
  return flag.repeats === true ? "none; may repeat" : "none";
}

function code(text: string): string {
  return `\`${escaped(text)}\``;
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** README with the table in place; an Error where it has not both markers in order. */
export function withTable(readme: string): string {
  const from = readme.indexOf(start);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md needs the markers ${start} and ${end}`);
  return `${readme.slice(0, from + start.length)}\n${flagTable()}\n${readme.slice(to)}`;
}

async function main(mode: string | undefined): Promise<number> {
  if (mode === undefined) {
    console.log(flagTable());
    return 0;
  }
  const file = Bun.file(readmePath);
  const readme = (await file.exists()) ? await file.text() : "";
  const wanted = withTable(readme);
  if (mode === "--write") await Bun.write(readmePath, wanted);
  else if (mode !== "--check") console.error("usage: flag-table.ts [--write|--check]");
  else if (readme !== wanted)
    console.error("README.md: the table of flags has drifted; run flag-table.ts --write");
  return mode === "--write" || (mode === "--check" && readme === wanted) ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(Bun.argv[2]);
