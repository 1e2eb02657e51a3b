import { processStat } from "../util/procfs.ts";
import type { Orphan } from "./orphan.ts";
import type { SupervisorRecord } from "./record.ts";

/**
 * Who may end an app together with its agent: the first process of the container, and systemd's run of the unit (it
 * gives each a new INVOCATION_ID, systemd.exec(5)). null: not known.
 */
export function keeperOf(
  env: Readonly<Record<string, string | undefined>>,
  firstStartTicks = processStat(1)?.startTicks ?? null,
): string | null {
  return firstStartTicks === null ? null : `${env["INVOCATION_ID"] ?? ""}@${firstStartTicks}`;
}

/**
 * The releases whose app was left running by an agent that died, and has ended by itself since. None where somebody may
 * have ended both: the agent was stopping it, or another keeper has started them anew.
 */
export function diedUnwatched(
  record: SupervisorRecord | null,
  alive: readonly Orphan[],
  keeper: string | null,
): ReadonlySet<string> {
  if (record === null || record.stopping || keeper === null || record.keeper !== keeper) return new Set();
  const runs = (release: string) => alive.some((orphan) => (orphan.release ?? release) === release);
  return new Set(
    record.generations.flatMap(({ pid, release }) =>
      pid === null || release === null || runs(release) ? [] : [release],
    ),
  );
}
