import { readFileSync } from "node:fs";
import { DewyError, systemCode, toDewyError } from "../errors.ts";
import { writeFileAtomic } from "./fs.ts";

/** As it is written, mode 0600, at once or not at all. Fails with `disk-full` or `filesystem`. */
export function writeJsonFile(path: string, json: string): void {
  try {
    writeFileAtomic(path, `${json}\n`, 0o600);
  } catch (error) {
    throw toDewyError(error, `write ${path}`);
  }
}

/**
 * null: there is none. `filesystem` when it can't be read, or when `parse` throws: it does not say what it should,
 * `refusal.lacks` (`where the agent answers`).
 */
export function readJsonFile<T>(
  path: string,
  parse: (value: unknown) => T,
  refusal: { readonly lacks: string; readonly hint: string },
): T | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw toDewyError(error, `read ${path}`);
  }
  try {
    return parse(JSON.parse(text));
  } catch (error) {
    throw new DewyError("filesystem", `${path} does not say ${refusal.lacks}`, {
      cause: error,
      hint: refusal.hint,
    });
  }
}
