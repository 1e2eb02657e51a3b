import { DewyError } from "../errors.ts";

/** A new version, `what`, may be good, and could not be asked. */
export function healthUnknown(what: string, seen: string): DewyError {
  return new DewyError(
    "health-unknown",
    `whether the new ${what} is healthy could not be found out: ${seen}`,
    {
      hint: "see what uses up this host's local ports, open files or memory (ss -s, ulimit -n); dewy tries again by itself",
    },
  );
}
