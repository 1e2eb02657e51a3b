import { existsSync } from "node:fs";
import { readState, type State } from "../../agent/state.ts";
import { DewyError, systemCode, toDewyError } from "../../errors.ts";

/** What the last agent has left on disk; null: nothing. `filesystem` where it can't be read. */
export function recordedState(path: string): State | null {
  if (!existsSync(path)) return null;
  try {
    return readState(path);
  } catch (error) {
    if (error instanceof DewyError || systemCode(error) !== undefined)
      throw toDewyError(error, `read ${path}`);
    // What the parser says would repeat the file.
    throw new DewyError("filesystem", `${path} is damaged`, {
      hint: "start the agent: it moves the file aside and goes by what is on disk",
    });
  }
}
