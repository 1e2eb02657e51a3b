import { environmentOptions } from "./environment.ts";
import { gpuOptions } from "./gpus.ts";
import { healthOptions } from "./health.ts";
import { identityOptions } from "./identity.ts";
import { loggingOptions } from "./logging.ts";
import { memoryOptions } from "./memory.ts";
import { networkOptions } from "./network.ts";
import type { OptionSpec } from "./option.ts";
import { processOptions } from "./process.ts";
import { refusedOptions } from "./refused.ts";
import { resourceOptions } from "./resources.ts";
import { storageOptions } from "./storage.ts";

/** Every option of `docker run` (docker/cli 28.2): taken, forbidden or not supported. */
export const runOptionTable: readonly OptionSpec[] = [
  ...environmentOptions,
  ...identityOptions,
  ...processOptions,
  ...storageOptions,
  ...networkOptions,
  ...memoryOptions,
  ...resourceOptions,
  ...gpuOptions,
  ...healthOptions,
  ...loggingOptions,
  ...refusedOptions,
];

const byName = new Map(runOptionTable.flatMap((spec) => namesOf(spec).map((name) => [name, spec] as const)));
const byShort = new Map(
  runOptionTable.flatMap((spec) => (spec.short === undefined ? [] : [[spec.short, spec] as const])),
);

export function optionByName(name: string): OptionSpec | undefined {
  return byName.get(name);
}

export function optionByShort(letter: string): OptionSpec | undefined {
  return byShort.get(letter);
}

/** Those worth suggesting. */
export const takenNames = runOptionTable.filter(({ rule }) => "set" in rule).map(({ name }) => name);

function namesOf(spec: OptionSpec): string[] {
  return [spec.name, ...(spec.aliases ?? [])];
}
