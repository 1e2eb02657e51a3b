import { endedUnwatched } from "../process/unwatched.ts";
import type { Orphan } from "./orphan.ts";
import type { RecordedGeneration, SupervisorRecord } from "./record.ts";

/** Runs of the app that an agent that died left running, or saw end, and that have ended by themselves. */
export function diedUnwatched(
  record: SupervisorRecord | null,
  alive: readonly Orphan[],
  keeper: string | null,
): readonly RecordedGeneration[] {
  if (record === null || record.stopping) return [];
  const runs = [...record.generations, ...record.ended].filter(({ release }) => release !== null);
  const isThere = (run: RecordedGeneration) =>
    !record.ended.includes(run) && alive.some((orphan) => (orphan.release ?? run.release) === run.release);
  return endedUnwatched({ ...record, runs }, isThere, keeper);
}
