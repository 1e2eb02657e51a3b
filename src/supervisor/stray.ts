import { checkedVariable, rehearsalVariable, rootVariable } from "../process/environment.ts";
import { mayBeApp } from "../process/owner.ts";
import { processIsAlive, stopProcess } from "../process/process.ts";
import type { Call } from "../util/async.ts";
import { environment, processIds, processStat } from "../util/procfs.ts";
import type { Clock } from "../util/time.ts";
import type { AppPlace } from "./orphan.ts";
import type { SupervisorRecord } from "./record.ts";

/** A rehearsal served nobody: it need not finish anything. */
const patienceMs = 2000;

/** What a killed agent left running that serves nobody, by process group: rehearsals, and health commands. */
export function straysOf({ root, user }: AppPlace, record: SupervisorRecord | null): number[] {
  const recorded = (record?.rehearsals ?? []).filter(
    ({ pid, startTicks }) => pid !== null && startTicks !== null && processIsAlive(pid, startTicks),
  );
  const groups = new Set(recorded.flatMap(({ pid }) => pid ?? []));
  // The agent may have died before it noted the pid.
  const ownGroup = processStat(process.pid)?.pgrp;
  for (const pid of processIds()) {
    const stat = processStat(pid);
    if (stat === null || stat.state === "Z" || pid === process.pid || stat.pgrp === ownGroup) continue;
    const env = environment(pid);
    if (env.get(rootVariable) !== root || !mayBeApp(pid, user)) continue;
    if (env.has(rehearsalVariable) || env.has(checkedVariable)) groups.add(stat.pgrp);
  }
  return [...groups];
}

export async function stopStrays(
  place: AppPlace,
  record: SupervisorRecord | null,
  clock: Clock,
  c: Call,
): Promise<void> {
  const groups = straysOf(place, record);
  const targets = groups.map((pid) => {
    const startTicks = processStat(pid)?.startTicks ?? 0;
    return { pid, startTicks, leadsGroup: true, root: place.root };
  });
  await Promise.all(targets.map((target) => stopProcess(target, patienceMs, clock, c)));
}
