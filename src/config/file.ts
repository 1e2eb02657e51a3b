import { parseToml } from "./file-toml.ts";
import { type FileReading, type KeySpec, Reading } from "./file-values.ts";
import { isOpenVariable } from "./file-variables.ts";
import type { Environment } from "./load.ts";
import { type Problem, problemOf } from "./problem.ts";
import { readSmallFile } from "./small-file.ts";

const maxFileBytes = 64 * 1024;

export const fileName = "dewy.toml";

/** Reads the configuration file and all that it refers to. Every problem names the file. */
export function readConfigFile(path: string, keys: readonly KeySpec[], env: Environment): FileReading {
  const reading = new Reading(keys, env);
  try {
    const { text, isOpen } = readSmallFile(path, maxFileBytes);
    const parsed = parseToml(text);
    if ("problem" in parsed) return unreadable(reading, inFile(path, parsed.problem));
    reading.read(parsed.table);
    const result = reading.result();
    const warnings = isOpen ? [...openSecrets(path, result), ...result.warnings] : result.warnings;
    return { ...result, warnings, problems: result.problems.map((problem) => inFile(path, problem)) };
  } catch (error) {
    const { message, hint } = problemOf(error);
    return unreadable(reading, { message: `${path} ${message}`, hint });
  }
}

/** Secrets that stand in the file itself. */
function openSecrets(path: string, { variables, masked }: FileReading): string[] {
  const names = [...variables.keys()].filter((name) => !isOpenVariable(name) && !masked.has(name));
  return names.length === 0
    ? []
    : [`${path} holds ${names.join(", ")} and can be read by every user of this host`];
}

function unreadable(reading: Reading, problem: Problem): FileReading {
  return { ...reading.result(), problems: [problem], unreadable: true };
}

function inFile(path: string, problem: Problem): Problem {
  return { ...problem, message: `${path}: ${problem.message}` };
}
