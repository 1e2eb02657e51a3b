import { agentFlags } from "./flag-groups/agent.ts";
import { appFlags } from "./flag-groups/app.ts";
import { containerFlags } from "./flag-groups/container.ts";
import { outputFlags } from "./flag-groups/output.ts";
import { proxyFlags } from "./flag-groups/proxy.ts";
import { releaseFlags } from "./flag-groups/release.ts";
import type { FlagOwner, FlagSpec } from "./flag-groups/spec.ts";
import { telemetryFlags } from "./flag-groups/telemetry.ts";

/** The one table of flags: parsing, help and the README are made from it. A default holds for all its commands. */
export const flags = [
  ...releaseFlags,
  ...appFlags,
  ...containerFlags,
  ...proxyFlags,
  ...agentFlags,
  ...telemetryFlags,
  ...outputFlags,
] as const;

const all: readonly FlagSpec[] = flags;

/**
 * A flag by its name. Commands may give one name different meanings (two entries), but whether it takes a value,
 * repeats, and its short form must agree: flags may stand before the command.
 */
export function flagByName(name: string): FlagSpec | undefined {
  return all.find((flag) => flag.name === name);
}

export function flagByShort(letter: string): FlagSpec | undefined {
  return all.find((flag) => flag.short === letter);
}

export function flagsOf(owner: FlagOwner): readonly FlagSpec[] {
  return all.filter((flag) => flag.commands.includes(owner));
}

export function ownersOf(name: string): readonly FlagOwner[] {
  return all.filter((flag) => flag.name === name).flatMap((flag) => flag.commands);
}
