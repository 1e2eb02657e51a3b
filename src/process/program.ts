import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import { DewyError } from "../errors.ts";

/**
 * The program a command names: a path is taken from `cwd`, a bare name looked up in PATH. It is checked here, at
 * each start, because `./current/app` exists only once a release is placed. Fails with `start-failed`.
 */
export function resolveProgram(command: readonly string[], cwd: string, path: string | undefined): string {
  const name = command[0] ?? "";
  const program = name.includes("/") ? resolve(cwd, name) : Bun.which(name, { cwd, PATH: path ?? "" });
  if (program === null) {
    throw new DewyError("start-failed", `command not found: ${name} is not in PATH`, {
      hint: "give the command's path, for example ./current/app",
    });
  }
  checkExecutable(name, program);
  return program;
}

function checkExecutable(name: string, program: string): void {
  let isFile: boolean;
  try {
    isFile = statSync(program).isFile();
  } catch (cause) {
    throw new DewyError("start-failed", `command not found: ${name}`, {
      cause,
      hint: "check that the release holds this file at this path",
    });
  }
  if (!isFile) {
    throw new DewyError("start-failed", `command is not a file: ${name}`, {
      hint: "give the path of the program in the release, for example ./current/app",
    });
  }
  try {
    accessSync(program, constants.X_OK);
  } catch (cause) {
    throw new DewyError("start-failed", `command is not executable: ${name}`, {
      cause,
      hint: "set the execute bit before the release is packed (chmod +x)",
    });
  }
}
