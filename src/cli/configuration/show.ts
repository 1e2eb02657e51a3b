import { isOpenVariable, isReadVariable } from "../../config/file-variables.ts";
import type { FlagSpec } from "../arguments/flag-groups/spec.ts";
import { flagsOf } from "../arguments/flags.ts";
import type { AgentCommand, Layers } from "./layers.ts";
import { lineOnly } from "./layers.ts";
import { shownOptions, shownUrl } from "./mask.ts";

/** One flag or variable, without what may be secret in it. */
interface Shown {
  readonly name: string;
  /** null: none; its default in words is `remark`. */
  readonly value: string | boolean | readonly string[] | null;
  readonly remark: string | null;
  readonly from: "flag" | "environment" | "file" | "default";
}

/** What the agent would run with, and where each value comes from. */
export function shownConfig(command: AgentCommand, layers: Layers): string {
  const rows = [...settings(command, layers), ...variables(layers)].map(({ name, value, remark, from }) => {
    const text = value === null ? (remark === null ? "-" : `(${remark})`) : words(value);
    return [name, text, from] as const;
  });
  const left = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(
    ([name, text, from]) => `${name.padEnd(left)}  ${from.padEnd("environment".length)}  ${text}`,
  );
  return `${[`dewy ${command}, ${layers.file === null ? "without a file" : `file ${layers.file.path}`}`, ...lines].join("\n")}\n`;
}

export function shownConfigJson(command: AgentCommand, layers: Layers): string {
  const plain = ({ name, value, from }: Shown) => ({ name, value, from });
  return `${JSON.stringify({
    command,
    file: layers.file?.path ?? null,
    settings: settings(command, layers).map(plain),
    environment: variables(layers).map(plain),
    warnings: layers.file?.warnings ?? [],
  })}\n`;
}

function settings(command: AgentCommand, layers: Layers): Shown[] {
  const flags = flagsOf(command).filter((flag) => !lineOnly.includes(flag.name));
  return [...flags.map((flag) => setting(flag, layers)), ...behind(command, layers)];
}

function setting(flag: FlagSpec, { line, file }: Layers): Shown {
  const { name, repeats = false } = flag;
  const written = line.values.get(name);
  const inFile = file?.masked.get(name) ?? file?.values.get(name);
  const values = (written ?? inFile)?.map((value) => masked(name, value));
  const remark = flag.defaultText ?? null;
  if (values !== undefined) {
    const [first = ""] = values;
    const single = flag.value === null ? first === "true" : first;
    return { name, value: repeats ? values : single, remark, from: written === undefined ? "file" : "flag" };
  }
  const fallback = flag.value === null ? false : (flag.default ?? null);
  return { name, value: repeats ? [] : fallback, remark, from: "default" };
}

/** Flags of the URLs, and those whose value could be anything. */
function masked(name: string, value: string): string {
  if (name === "registry" || name === "cache") return shownUrl(value, false);
  return name === "notifier" ? shownUrl(value, true) : value;
}

function behind(command: AgentCommand, { line, file, tokens }: Layers): Shown[] {
  if (command === "assets") return [];
  const name = command === "server" ? "app" : "options";
  const from = line.behind.length > 0 ? "flag" : "file";
  const given = from === "file" ? (file?.masked.get(name) ?? tokens.behind) : tokens.behind;
  const value = command === "container" ? shownOptions(given) : given;
  return [{ name, value, remark: null, from: given.length === 0 ? "default" : from }];
}

function variables({ file, given, env }: Layers): Shown[] {
  const names = Object.keys(env).filter((name) => isReadVariable(name) && env[name]);
  return names.sort().map((name) => {
    const from = given[name] ? "environment" : "file";
    const hidden = from === "file" ? (file?.masked.has(name) ?? false) : false;
    return { name, value: isOpenVariable(name) && !hidden ? (env[name] ?? null) : "…", remark: null, from };
  });
}

function words(value: string | boolean | readonly string[]): string {
  if (typeof value === "boolean") return String(value);
  const list = typeof value === "string" ? [value] : value;
  if (list.length === 0) return "-";
  return list.map((word) => (/^[^\s"']+$/.test(word) ? word : JSON.stringify(word))).join(" ");
}
