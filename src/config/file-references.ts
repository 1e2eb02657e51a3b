import { isAbsolute } from "node:path";
import type { Environment } from "./load.ts";
import { invalid, problemOf } from "./problem.ts";
import { readSmallFile } from "./small-file.ts";

const maxSecretBytes = 64 * 1024;

/** A text of the configuration file, with what it refers to in place. */
export interface Resolved {
  readonly value: string;
  /** The same with `…` where something was put in; null: nothing was. */
  readonly masked: string | null;
  /** About a secret that others can read. */
  readonly warning: string | null;
}

/**
 * Puts in the variables of `${NAME}`; `$${` stands for `${`. A whole text `file:/path` stands for that file's content
 * without its last line break; `file:///path` is a URL. Throws `config-invalid`.
 */
export function resolveReferences(written: string, env: Environment): Resolved {
  const expanded = written.replace(/(\$?)\$\{([^}]*)\}/g, (_, escaped: string, name: string) =>
    escaped === "$" ? `\${${name}}` : variable(name, env),
  );
  if (!/^file:(?!\/\/)/.test(written)) {
    const masked = written.replace(/(\$?)\$\{([^}]*)\}/g, (_, escaped: string, name: string) =>
      escaped === "$" ? `\${${name}}` : "…",
    );
    return { value: expanded, masked: masked === expanded ? null : masked, warning: null };
  }
  return secretFile(expanded.slice("file:".length));
}

function variable(name: string, env: Environment): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw invalid(`"\${${name}}" names no variable`, `write \${NAME}, or $\${ for a plain \${`);
  }
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw invalid(
    `the variable ${name} is not set`,
    `set it where dewy is started, or write $\${${name}} if it is the shell's`,
  );
}

function secretFile(path: string): Resolved {
  if (!isAbsolute(path)) {
    throw invalid(
      `"file:${path}" is no absolute path`,
      "write file:/run/secrets/name, or file:///dir for a URL",
    );
  }
  const { text, isOpen } = readNamed(path);
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw invalid(`${path} is empty`, "write the value into it");
  if (value.includes("\0")) throw invalid(`${path} is no text`, "write the value into it");
  const warning = isOpen ? `${path} can be read by every user of this host` : null;
  return { value, masked: "…", warning };
}

function readNamed(path: string) {
  try {
    return readSmallFile(path, maxSecretBytes);
  } catch (error) {
    const { message, hint = "name a file that can be read" } = problemOf(error);
    throw invalid(
      `${path} ${message}`,
      message === "is a directory" ? `write file://${path} for a URL` : hint,
    );
  }
}
