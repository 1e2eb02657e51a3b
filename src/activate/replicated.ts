import { messageOf } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { DeployedRelease } from "../process-engine/plan.ts";
import type { Deployment } from "../replicas/deployment.ts";
import type { ReplicaSet } from "../replicas/replica-set.ts";
import type { ReplicaLoss } from "../replicas/upkeep.ts";
import type { Activator } from "./activator.ts";
import type { ReleaseDirectory } from "./release-dir.ts";
import { releaseTime } from "./release-name.ts";
import { switchCurrent } from "./switch.ts";

export interface ReplicatedDeps {
  readonly releases: ReleaseDirectory;
  readonly replicas: Pick<ReplicaSet, "resume" | "update" | "restart" | "status">;
  readonly plan: (deployed: DeployedRelease) => Deployment;
  /** The names of a release's processes that an earlier agent left running, and that have ended since. */
  readonly diedUnwatched: (release: string) => readonly string[];
  readonly onReplicaLost: (loss: ReplicaLoss) => void;
  /** Of the recorded release; null: it is not known. */
  readonly recordedTag: () => string | null;
  readonly log: Log;
}

/** Each release runs from its own directory, in processes behind the agent's proxy, which it rolls to one by one. */
export function replicatedActivator(deps: ReplicatedDeps): Activator {
  const { releases, replicas, plan, recordedTag, log } = deps;
  return {
    async resume(release, c) {
      if (release === null) return await replicas.resume(null, c);
      const version = recordedTag() ?? release;
      for (const name of deps.diedUnwatched(release)) {
        const reason = "it ended while no agent watched it";
        log.warn("Replica lost", { process: name, error: reason });
        // The missing ones are started at once: nobody was there to do so before.
        deps.onReplicaLost({ kind: "died", version, image: release, name, reason, delayMs: 0 });
      }
      await replicas.resume(plan({ version, release, deployedAt: releaseTime(release) }), c);
      log.info(records.startServer, { release });
    },

    async activate({ tag, release, returning = false }, steps, c) {
      const before = releases.linkTarget();
      const deployment = plan({ version: tag, release, deployedAt: releaseTime(release) });
      try {
        switchCurrent(releases, release, log);
        await steps.switched();
        const how = await replicas.update(
          deployment,
          { returning, switched: async () => undefined, commit: () => steps.commit() },
          c,
        );
        return { how };
      } catch (error) {
        takeBack(releases, before, log);
        throw error;
      }
    },

    restart: (c) => replicas.restart(c),

    status: () => replicas.status(),

    async [Symbol.asyncDispose]() {},
  };
}

/** Whatever else fails: the old processes serve on, and what they are made from is the old release. */
function takeBack(releases: ReleaseDirectory, before: string | null, log: Log): void {
  try {
    releases.restoreLink(before);
  } catch (error) {
    log.error("Failed change not taken back", { error: messageOf(error) });
  }
}
