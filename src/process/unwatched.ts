import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { processStat } from "../util/procfs.ts";

/**
 * Who may end an app together with its agent: the first process of the container, or, where several share that, the
 * container's control group; and systemd's run of the unit (it gives each a new INVOCATION_ID, systemd.exec(5)).
 * null: not known.
 */
export function keeperOf(
  env: Readonly<Record<string, string | undefined>>,
  firstStartTicks = processStat(1)?.startTicks ?? null,
  group = ownGroup(),
): string | null {
  return firstStartTicks === null ? null : `${env["INVOCATION_ID"] ?? ""}@${firstStartTicks}${group}`;
}

/**
 * Tells this process's control group (cgroups(7)) from others, as 16 hex digits; empty: not known. In a namespace each
 * has the path `/`, and one that was removed and made again has its path: its directory's number is a new one.
 */
function ownGroup(): string {
  try {
    const groups = readFileSync("/proc/self/cgroup", "utf8");
    const path = /^0::(.*)$/m.exec(groups)?.[1] ?? "";
    const number = statSync(join("/sys/fs/cgroup", path), { throwIfNoEntry: false })?.ino ?? "";
    return `#${new Bun.CryptoHasher("sha256").update(`${groups}${number}`).digest("hex").slice(0, 16)}`;
  } catch {
    return "";
  }
}

/** Runs of the app that an agent left without stopping them, and who kept them then. */
export interface LeftRuns<Run> {
  readonly keeper: string | null;
  readonly runs: readonly Run[];
}

/**
 * Those that have ended by themselves since. None where another keeper may have ended both app and agent, and started
 * them anew; nor what the agent may have died before it spawned it.
 */
export function endedUnwatched<Run extends { readonly pid: number | null }>(
  left: LeftRuns<Run>,
  isThere: (run: Run) => boolean,
  keeper: string | null,
): readonly Run[] {
  if (keeper === null || left.keeper !== keeper) return [];
  return left.runs.filter((run) => run.pid !== null && !isThere(run));
}
