import { DewyError, messageOf } from "../errors.ts";

/** Something wrong with what the operator wrote: what it is and, in the hint, what would be right. */
export interface Problem {
  readonly message: string;
  readonly hint?: string | undefined;
  /** The flag (without dashes) or variable it is about, if it is about one. */
  readonly about?: string | undefined;
}

/** A problem as one line of text. */
export function problemText(problem: Problem): string {
  const text = problem.hint === undefined ? problem.message : `${problem.message}; ${problem.hint}`;
  return text.replaceAll(/\s*\n\s*/g, " ");
}

/** What a parser or a driver threw, as a problem. */
export function problemOf(error: unknown): Problem {
  return { message: messageOf(error), hint: error instanceof DewyError ? error.hint : undefined };
}

export function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
