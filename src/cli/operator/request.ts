import { resolve } from "node:path";
import type { Order } from "../../agent/orders/operations.ts";
import type { Settings } from "../../config/load.ts";
import { type Problem, problemOf } from "../../config/problem.ts";
import { parseCalver, parseSlot, wholeFrom } from "../../config/values.ts";
import { maxTagLength } from "../../control/protocol.ts";
import { messageOf } from "../../errors.ts";
import { type LogLevel, logLevels } from "../../log.ts";
import type { CommandName } from "../arguments/commands.ts";
import { operator } from "../arguments/flag-groups/spec.ts";
import type { Tokens } from "../arguments/tokens.ts";
import { parseMoment } from "./moment.ts";

export type OperatorCommand = (typeof operator)[number];

/** The registry to ask from here. */
export interface RegistryChoice {
  readonly registry: string;
  readonly calver: string | null;
  readonly slot: string | null;
}

/** What is to be done there, and how it is to be shown. */
export type OperatorRequest = {
  /** null: every agent of this host. */
  readonly root: string | null;
  readonly json: boolean;
} & (
  | { readonly kind: "status" }
  | { readonly kind: "history"; readonly count: number }
  /** `alone`: from here, whether an agent runs or not. */
  | { readonly kind: "check"; readonly alone: boolean; readonly from: RegistryChoice | null }
  | { readonly kind: "logs"; readonly count: number; readonly level: LogLevel; readonly follow: boolean }
  | { readonly kind: "order"; readonly order: Order }
);

export function isOperatorCommand(command: CommandName): command is OperatorCommand {
  return operator.some((name) => name === command);
}

/** Everything that is wrong at once. */
export function readOperatorRequest(
  command: OperatorCommand,
  settings: Settings,
  { values, argument }: Pick<Tokens, "values" | "argument">,
  now: Date,
): { request: OperatorRequest } | { problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const read = <T>(flag: string, parse: (text: string) => T): T | null => {
    const value = settings[flag];
    if (typeof value !== "string") return null;
    try {
      return parse(value);
    } catch (error) {
      problems.push({ ...problemOf(error), message: `--${flag} ${messageOf(error)}` });
      return null;
    }
  };
  const all = settings["all"] === true;
  if (all && values.has("root"))
    problems.push({ message: "--all and --root say different things", hint: "write one of them" });
  if (all && values.has("config"))
    problems.push({ message: "--all and --config say different things", hint: "write one of them" });
  const place = { root: all ? null : resolve(String(settings["root"])), json: settings["json"] === true };
  const request = ((): OperatorRequest => {
    switch (command) {
      case "status":
        return { ...place, kind: "status" };
      case "history":
        return { ...place, kind: "history", count: read("last", wholeFrom(1)) ?? 1 };
      case "check": {
        const from = registryChoice(settings, all, read, problems);
        return { ...place, kind: "check", alone: from !== null || values.has("config"), from };
      }
      case "logs": {
        const level = read("level", parseLevel) ?? "debug";
        const count = read("last", wholeFrom(1, 100_000)) ?? 1;
        return { ...place, kind: "logs", count, level, follow: settings["follow"] === true };
      }
      default:
        return { ...place, kind: "order", order: orderOf(command, tagOf(argument, problems), read, now) };
    }
  })();
  return problems.length > 0 ? { problems } : { request };
}

type Read = <T>(flag: string, parse: (text: string) => T) => T | null;

function orderOf(
  command: Exclude<OperatorCommand, "status" | "history" | "check" | "logs">,
  tag: string | null,
  read: Read,
  now: Date,
): Order {
  switch (command) {
    case "deploy":
      return { kind: "deploy", tag: tag ?? "" };
    case "rollback":
      return { kind: "rollback", tag };
    case "hold": {
      const until = read("until", (text) => parseMoment(text, now));
      return { kind: "hold", until, reason: read("reason", parseReason) };
    }
    default:
      return { kind: command };
  }
}

function registryChoice(
  settings: Settings,
  all: boolean,
  read: Read,
  problems: Problem[],
): RegistryChoice | null {
  const registry = read("registry", (text) => text);
  const [calver, slot] = [read("calver", parseCalver), read("slot", parseSlot)];
  if (registry !== null) {
    if (all)
      problems.push({ message: "--all and --registry say different things", hint: "write one of them" });
    return { registry, calver, slot };
  }
  for (const flag of ["calver", "slot"]) {
    if (settings[flag] !== undefined) {
      problems.push({ message: `--${flag} goes with --registry`, hint: "the agent knows its own" });
    }
  }
  return null;
}

function parseLevel(text: string): LogLevel {
  const level = logLevels.find((known) => known === text.toLowerCase());
  if (level !== undefined) return level;
  throw new Error(`"${text}" is unknown; write ${logLevels.join(", ")}`);
}

/** A slip of the shell, such as a variable that is empty, is told at once and not by the registry. */
function tagOf(argument: string | null, problems: Problem[]): string | null {
  if (argument === null) return null;
  const hint = "write the tag of a release, such as v1.4.2";
  if (argument === "") problems.push({ message: "TAG is empty", hint });
  else if (argument.length > maxTagLength) {
    problems.push({ message: `TAG is longer than ${maxTagLength} characters`, hint });
  } else if (/[\p{C}\p{Z}]/u.test(argument)) {
    problems.push({ message: "TAG has a character in it that no tag has", hint });
  }
  return argument;
}

function parseReason(text: string): string {
  if (text.length <= 500) return text;
  throw new Error("is longer than 500 characters");
}
