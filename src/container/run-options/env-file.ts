import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { DewyError, messageOf } from "../../errors.ts";

export type Variables = Readonly<Record<string, string | undefined>>;

export interface EnvironmentSources {
  /** `--env-file`, relative to dewy's root. */
  readonly envFiles: readonly string[];
  /** `--env`: `KEY=value`, or `KEY` for dewy's own value. */
  readonly env: readonly string[];
}

/** Far more than exec(2) would take. */
const maxFileBytes = 4 * 2 ** 20;

/**
 * The container's variables as `docker run` makes them: those of the files, then those of `--env`; a later one wins
 * over an earlier one. A `KEY` that dewy's environment lacks is left out of a file, and takes the image's variable
 * away where `--env` names it. Reads the files each time, so that a change arrives with the next deploy.
 */
export function containerEnvironment(sources: EnvironmentSources, root: string, own: Variables): string[] {
  const files = sources.envFiles.flatMap((path) => readEnvFile(resolve(root, path), own));
  const given = sources.env.map((entry) => (entry.includes("=") ? entry : (ownValue(entry, own) ?? entry)));
  const byKey = new Map<string, string>();
  for (const entry of [...files, ...given]) byKey.set(entry.split("=", 1)[0] ?? entry, entry);
  return [...byKey.values()];
}

function ownValue(key: string, own: Variables): string | undefined {
  return own[key] === undefined ? undefined : `${key}=${own[key]}`;
}

/** Lines of `KEY=value` or `KEY`; no quotes, no escapes (docker/cli pkg/kvfile). Messages show no values. */
function readEnvFile(path: string, own: Variables): string[] {
  const lines = contentOf(path)
    .replace(/^\ufeff/, "")
    .split(/\r?\n/);
  return lines.flatMap((raw, index) => {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) return [];
    const key = line.split("=", 1)[0] ?? "";
    const at = `${path}, line ${index + 1}`;
    if (key === "") throw unusable(`${at}: a value without a variable's name`);
    if (/[ \t]/.test(key)) throw unusable(`${at}: the variable's name holds a blank`);
    if (line.includes("\0")) throw unusable(`${at}: a NUL character`);
    return line.includes("=") ? [line] : (ownValue(key, own) ?? []);
  });
}

function contentOf(path: string): string {
  try {
    const stat = statSync(path);
    // A pipe has its text only once, and reading it may wait for ever.
    if (!stat.isFile()) throw unusable(`${path} is not a regular file`);
    if (stat.size > maxFileBytes) throw unusable(`${path} is too large for a list of variables`);
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    if (error instanceof DewyError) throw error;
    throw unusable(`${path}: ${error instanceof TypeError ? "not UTF-8 text" : messageOf(error)}`);
  }
}

function unusable(message: string): DewyError {
  return new DewyError("config-invalid", `--env-file ${message}`, {
    hint: "each line is NAME=value, or NAME to pass on dewy's own variable",
  });
}
