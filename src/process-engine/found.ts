import { rootVariable } from "../process/environment.ts";
import { mayBeApp } from "../process/owner.ts";
import { processIsAlive } from "../process/process.ts";
import { labelsOfApp } from "../replicas/labels.ts";
import { environment, processIds, processStat } from "../util/procfs.ts";
import type { User } from "../util/user.ts";
import { replicaVariable } from "./listening.ts";
import type { CopyIdentity, RecordedProcess } from "./record.ts";

/** A copy that runs though no agent of now has started it. */
export interface FoundProcess {
  readonly identity: CopyIdentity;
  readonly pid: number;
  readonly startTicks: number;
}

/**
 * What the last agent of this directory left running: as recorded, or, where it died in the middle of a note or the
 * record is lost, by the marks in the environment. What no record describes bears the labels of no deployment.
 */
export function findProcesses(
  { app, root, user }: { readonly app: string; readonly root: string; readonly user: User | null },
  record: readonly RecordedProcess[],
): readonly FoundProcess[] {
  const marked = markedProcesses(root, user);
  const recorded = record.flatMap(({ pid, startTicks, stopping: _, ...identity }): FoundProcess[] => {
    if (pid !== null && startTicks !== null && processIsAlive(pid, startTicks)) {
      return [{ identity, pid, startTicks }];
    }
    const found = marked.get(identity.id);
    return found === undefined ? [] : [{ identity, ...found }];
  });
  const known = new Set(record.map(({ id }) => id));
  const unknown = [...marked].filter(([id]) => !known.has(id));
  return [...recorded, ...unknown.map(([id, found]) => ({ identity: nameless(id, app, root), ...found }))];
}

function nameless(id: string, app: string, root: string): FoundProcess["identity"] {
  const labels = { ...labelsOfApp(app), "dewy.root": root };
  return { id, name: id, release: "", labels, ports: [], createdAt: new Date(0).toISOString() };
}

/** By their copy's id. Of a copy's groups the one that began first is the app. */
function markedProcesses(
  root: string,
  user: User | null,
): Map<string, Pick<FoundProcess, "pid" | "startTicks">> {
  const found = new Map<string, Pick<FoundProcess, "pid" | "startTicks">>();
  for (const pid of processIds()) {
    const stat = processStat(pid);
    if (stat?.pgrp !== pid || stat.state === "Z" || pid === process.pid) continue;
    const env = environment(pid);
    const id = env.get(replicaVariable);
    if (env.get(rootVariable) !== root || id === undefined || !mayBeApp(pid, user)) continue;
    const { startTicks } = stat;
    if ((found.get(id)?.startTicks ?? Number.POSITIVE_INFINITY) <= startTicks) continue;
    found.set(id, { pid, startTicks });
  }
  return found;
}
