import { DewyError } from "../../errors.ts";

const longestShown = 200;
// JSON.stringify leaves C1 controls, bidi overrides and line separators as they are; a terminal obeys them.
const spoofing = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A name from an archive as it may be shown: in quotes, control characters escaped, at most 200 characters. */
export function quote(name: string): string {
  const shown = name.length > longestShown ? `${name.slice(0, longestShown)}…` : name;
  return JSON.stringify(shown).replace(spoofing, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** `archive-refused`: the archive can be read, but holds what dewy does not put on a disk. */
export function refused(name: string, why: string, hint: string): DewyError {
  return new DewyError("archive-refused", `archive entry ${quote(name)} ${why}`, { hint });
}

/** `archive-corrupt`: the bytes are not the archive that was packed. */
export function corrupt(what: string, cause?: unknown): DewyError {
  return new DewyError("archive-corrupt", what, {
    cause,
    hint: "pack and publish the release again; if it is whole at the source, clear dewy's cache",
  });
}
