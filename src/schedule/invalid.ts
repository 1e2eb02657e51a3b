import { DewyError } from "../errors.ts";

/** `what` goes on after the window's text: `is empty`, `: there is no time 25:00`. */
export function invalidWindow(text: string, what: string, hint: string): DewyError {
  const message = `"${text.trim()}"${what.startsWith(":") ? "" : " "}${what}`;
  return new DewyError("config-invalid", message, { hint });
}
