import type { Announcer } from "../../agent/announce.ts";
import type { Log } from "../../log.ts";
import type { ReplicaLoss } from "../../replicas/upkeep.ts";
import type { Crash } from "../../supervisor/supervisor.ts";
import type { Call } from "../../util/async.ts";
import type { AgentParts } from "./parts.ts";

/** Whom deaths of the app are told. */
interface Told extends Pick<AgentParts, "appFailed" | "currentTag"> {
  readonly announcer: Pick<Announcer, "tell">;
  readonly log: Log;
}

/** Where more comes of it, people are told that alone. `c`: the agent's life. */
export function tellCrash(crash: Crash, { appFailed, announcer, log, currentTag }: Told, c: Call): void {
  // The app and dewy were told to stop at once: that it ends is no crash.
  if (c.signal.aborted) return;
  const { release, reason, delayMs, blame = "release" } = crash;
  const tag = currentTag();
  log.error("Server died", { error: reason, tag, restart_in_ms: delayMs });
  // What the host is at fault for would fell the release before, too.
  if (blame === "release" && appFailed({ release, kind: "crashed", reason })) return;
  announcer.tell({ kind: "crashed", tag, reason, delayMs });
}

/** The same of one of an app's copies. */
export function tellLoss(loss: ReplicaLoss, { appFailed, announcer }: Omit<Told, "log">, c: Call): void {
  if (c.signal.aborted) return;
  const { kind: how, version: tag, image: release, name, reason, delayMs, blame = "release" } = loss;
  const kind = how === "sick" ? "sick" : "crashed";
  if (blame === "release" && appFailed({ release, kind, reason, slot: name })) return;
  announcer.tell({ kind: "replica-lost", unit: "process", how, tag, container: name, reason, delayMs });
}
