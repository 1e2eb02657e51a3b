import { endedUnwatched } from "../process/unwatched.ts";
import type { FoundProcess } from "./found.ts";
import type { RecordedProcess, RecordedProcesses } from "./record.ts";

/** The processes that were left running by an agent that died, and have ended by themselves since. */
export function diedUnwatched(
  { keeper, processes }: RecordedProcesses,
  alive: readonly FoundProcess[],
  keeperNow: string | null,
): readonly RecordedProcess[] {
  const ids = new Set(alive.map(({ identity }) => identity.id));
  const runs = processes.filter(({ stopping }) => !stopping);
  return endedUnwatched({ keeper, runs }, ({ id }) => ids.has(id), keeperNow);
}
