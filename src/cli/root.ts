import { type Problem, problemText } from "../config/problem.ts";
import { DewyError, messageOf } from "../errors.ts";
import { build, versionLine } from "../version.ts";
import { commandHelp, overview } from "./arguments/help.ts";
import { readTokens, type Tokens } from "./arguments/tokens.ts";
import type { CommandHandlers } from "./dispatch.ts";
import { printable } from "./operator/render.ts";
import { withLocalTimes } from "./operator/render-time.ts";

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws where what was asked for can't be written. */
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly commands: CommandHandlers;
  /** Width of the terminal; help goes up to 100 columns. */
  readonly columns?: number | undefined;
  readonly now?: () => Date;
}

const usageError = 1;

/** Arguments → exit code. Never throws and never ends the process. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const tokens = readTokens(argv);
  try {
    return await answer(tokens, io);
  } catch (error) {
    return fail(error, isDebug(tokens), io);
  }
}

async function answer(tokens: Tokens, io: CliIo): Promise<number> {
  const { command, request, problems } = tokens;
  if (request === "run" && command !== null) {
    // Loads citty and the schema, which `dewy --version` has no use for.
    const { dispatch } = await import("./dispatch.ts");
    const outcome = await dispatch(command, { tokens, env: io.env, handlers: io.commands });
    return "problems" in outcome ? refuse(outcome.problems, io) : outcome.exitCode;
  }
  if (problems.length > 0) return refuse(problems, io);
  if (request === "version") {
    const format = tokens.values.get("log-format")?.[0] ?? "text";
    if (format !== "text" && format !== "json") {
      return refuse([{ message: `--log-format "${format}" is unknown; write text, json` }], io);
    }
    io.stdout(versionLine(build, format, io.now ?? (() => new Date())));
  } else {
    io.stdout(command === null ? overview(io.columns) : commandHelp(command, io.columns));
  }
  return 0;
}

/** Says everything that is wrong at once, a line each. */
function refuse(problems: readonly Problem[], io: CliIo): number {
  for (const line of new Set(problems.map(problemText))) io.stderr(`Error: ${legible(line)}\n`);
  return usageError;
}

function fail(error: unknown, withStack: boolean, io: CliIo): number {
  const now = io.now?.() ?? new Date();
  io.stderr(`Error: ${legible(withLocalTimes(messageOf(error), now))}\n`);
  if (withStack && error instanceof Error && error.stack !== undefined) io.stderr(`${error.stack}\n`);
  if (!(error instanceof DewyError)) return 4;
  if (error.hint !== undefined) io.stderr(`Hint: ${legible(withLocalTimes(error.hint, now))}\n`);
  return error.exitCode;
}

/** What somebody wrote is repeated: neither for a terminal to act on, nor pages of it. The end may tell most. */
function legible(text: string): string {
  return printable(text.replaceAll(/\s*\n\s*/g, " ")).replace(
    /[^\s"]{300,}/g,
    (word) => `${word.slice(0, 80)}…${word.slice(-80)}`,
  );
}

function isDebug(tokens: Tokens): boolean {
  return tokens.values.get("log-level")?.[0]?.toLowerCase() === "debug";
}
