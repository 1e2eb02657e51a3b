import type { Log } from "../log.ts";
import { stopProcess } from "../process/process.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { recordedOrphans, spawnedOrphans } from "./orphan.ts";
import type { RecordFile } from "./record.ts";

/** Stops what an agent of this directory that handed its sockets down has left running: it holds the ports. */
export async function stopLeftovers(
  { root, stopTimeoutMs }: { readonly root: string; readonly stopTimeoutMs: number },
  { record, clock, log }: { readonly record: RecordFile; readonly clock: Clock; readonly log: Log },
  c: Call,
): Promise<void> {
  const known = record.read();
  const orphans = known === null ? spawnedOrphans(root) : recordedOrphans(known, root);
  for (const { pid } of orphans) {
    log.warn("Stopping the app left by an agent without --proxy: it holds the ports", {
      pid,
      hint: "connections wait for the new processes as soon as the proxy listens",
    });
  }
  await Promise.all(orphans.map((orphan) => stopProcess(orphan, stopTimeoutMs, clock, c)));
}
