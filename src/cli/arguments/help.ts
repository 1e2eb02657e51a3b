import {
  type CommandName,
  type CommandSpec,
  commandSpec,
  commands,
  commandsOf,
  exitCodes,
} from "./commands.ts";
import type { FlagSpec } from "./flag-groups/spec.ts";
import { flags, flagsOf } from "./flags.ts";
import { environment } from "./variables.ts";

const widest = 100;
const narrowest = 60;
/** What operators reach for when something is wrong. */
const night = [commandSpec("status"), commandSpec("rollback"), commandSpec("hold")];
type Row = readonly [left: string, right: string];

/** `dewy --help`. */
export function overview(columns: number | undefined): string {
  return page(columns, (width) => [
    wrap("dewy watches a registry and puts each new release in place without losing a request.", width).join(
      "\n",
    ),
    section("Usage", [
      "dewy server|assets|container --registry URL [flags] [-- ...]",
      "dewy COMMAND [flags]",
      "dewy help COMMAND",
    ]),
    ...commandSections(width),
    section(
      "Flags of every command",
      table(flags.filter((flag) => flag.group === "General").map(flagRow), width),
    ),
    section(
      "Examples",
      [...commandsOf("agent"), ...night].flatMap((command) => command.examples.slice(0, 1)),
    ),
    environmentSection(environment, width),
    exitCodeSection(width),
    "`dewy help server` explains the flags of a command.",
  ]);
}

/** Those that run an agent, those that ask one, and the rest. */
function commandSections(width: number): string[] {
  const left = Math.max(...commands.map(({ name }) => name.length));
  const rows = (group: CommandSpec["group"]) =>
    table(
      commandsOf(group).map((command): Row => [command.name, command.summary]),
      width,
      left,
    );
  return [
    section("Commands that run an agent", rows("agent")),
    section("Commands for an agent that runs or has run", rows("operator")),
    section("Other commands", rows(undefined)),
  ];
}

/** `dewy server --help`. */
export function commandHelp(name: CommandName, columns: number | undefined): string {
  const command = commandSpec(name);
  const variables = environment.filter((variable) => variable.commands.includes(name));
  return page(columns, (width) => [
    wrap(`${command.summary}.`, width).join("\n"),
    section("Usage", [`dewy ${name} ${command.usage}`]),
    wrap(command.about, width).join("\n"),
    ...flagSections(flagsOf(name), width),
    ...(variables.length > 0 ? [environmentSection(variables, width)] : []),
    section("Examples", command.examples),
    exitCodeSection(width),
  ]);
}

function page(columns: number | undefined, sections: (width: number) => string[]): string {
  const width = Math.min(widest, Math.max(narrowest, columns ?? widest));
  return `${sections(width).join("\n\n")}\n`;
}

/** One table a group, all with the same left column. */
function flagSections(specs: readonly FlagSpec[], width: number): string[] {
  const rows = specs.map(flagRow);
  const left = leftWidth(rows);
  const groups = [...new Set(specs.map((flag) => flag.group))];
  return groups.map((group) => {
    const own = specs.filter((flag) => flag.group === group).map(flagRow);
    return section(`${group} flags`, table(own, width, left));
  });
}

function flagRow(flag: FlagSpec): Row {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  const value = flag.value === null ? "" : ` ${flag.value}`;
  return [`${short}--${flag.name}${value}`, `${flag.help}${remark(flag)}`];
}

function remark(flag: FlagSpec): string {
  const fallback = flag.defaultText ?? flag.default;
  const remarks = [
    flag.required === true ? "required" : "",
    flag.repeats === true ? "may repeat" : "",
    fallback === undefined ? "" : `default ${fallback}`,
  ].filter((text) => text !== "");
  return remarks.length === 0 ? "" : ` (${remarks.join(", ")})`;
}

function environmentSection(variables: typeof environment, width: number): string {
  return section(
    "Environment",
    table(
      variables.map(({ name, help }): Row => [name, help]),
      width,
    ),
  );
}

function exitCodeSection(width: number): string {
  return section(
    "Exit codes",
    table(
      exitCodes.map(([code, meaning]): Row => [String(code), meaning]),
      width,
    ),
  );
}

function section(title: string, lines: readonly string[]): string {
  return [`${title}:`, ...lines.map((line) => `  ${line}`)].join("\n");
}

function leftWidth(rows: readonly Row[]): number {
  return Math.max(...rows.map(([left]) => left.length));
}

/** Two columns; the right one wraps within `width`, less the section's indent. */
function table(rows: readonly Row[], width: number, left = leftWidth(rows)): string[] {
  return rows.flatMap(([name, text]) =>
    wrap(text, width - 2 - left - 2).map(
      (line, index) => `${(index === 0 ? name : "").padEnd(left)}  ${line}`,
    ),
  );
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
