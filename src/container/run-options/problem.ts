import { DewyError } from "../../errors.ts";

/** Something wrong with the options; no value that may be a secret is in it. */
export interface Problem {
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Options that don't go together. */
export interface Conflict extends Problem {
  /** Their names; where one of them was wrong by itself, the conflict may be none. */
  readonly between: readonly string[];
}

/** For an option's value: the message goes on after the option's name (`is not a size`). */
export function invalid(message: string, hint?: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
