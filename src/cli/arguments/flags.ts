import { agentFlags } from "./flag-groups/agent.ts";
import { appFlags } from "./flag-groups/app.ts";
import { configFlags } from "./flag-groups/config.ts";
import { containerFlags } from "./flag-groups/container.ts";
import { healthFlags } from "./flag-groups/health.ts";
import { linkFlags } from "./flag-groups/link.ts";
import { operatorFlags } from "./flag-groups/operator.ts";
import { outputFlags } from "./flag-groups/output.ts";
import { proxyFlags } from "./flag-groups/proxy.ts";
import { releaseFlags } from "./flag-groups/release.ts";
import { replicatedFlags } from "./flag-groups/replicated.ts";
import { scheduleFlags } from "./flag-groups/schedule.ts";
import { deploying, type FlagOwner, type FlagSpec } from "./flag-groups/spec.ts";
import { telemetryFlags } from "./flag-groups/telemetry.ts";

/** The one table of flags: parsing, help and the README are made from it. A default holds for all its commands. */
export const flags = [
  ...releaseFlags,
  ...appFlags,
  ...linkFlags,
  ...healthFlags,
  ...containerFlags,
  ...proxyFlags,
  ...replicatedFlags,
  ...scheduleFlags,
  ...agentFlags,
  ...configFlags,
  ...telemetryFlags,
  ...operatorFlags,
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

/** A letter may stand for different flags of different commands, which all take a value or all take none. */
export function flagByShort(letter: string, owner: FlagOwner | null): FlagSpec | undefined {
  const known = all.filter((flag) => flag.short === letter);
  return known.find((flag) => owner !== null && flag.commands.includes(owner)) ?? known[0];
}

export function flagsOf(owner: FlagOwner): readonly FlagSpec[] {
  return all.filter((flag) => flag.commands.includes(owner));
}

export function ownersOf(name: string): readonly FlagOwner[] {
  return all.filter((flag) => flag.name === name).flatMap((flag) => flag.commands);
}

/** The commands about the configuration file take the flags of the agents, too. */
export function takesFlag(owner: FlagOwner, name: string): boolean {
  const owners = ownersOf(name);
  return owners.includes(owner) || (owner.startsWith("config ") && owners.some((other) => isAgent(other)));
}

function isAgent(owner: FlagOwner): boolean {
  return deploying.some((command) => command === owner);
}
