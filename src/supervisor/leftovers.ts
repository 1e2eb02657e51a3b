import type { Log } from "../log.ts";
import { stopProcess } from "../process/process.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { ListenSpec } from "./listen-spec.ts";
import { type AppPlace, type Orphan, recordedOrphans, spawnedOrphans, takeListener } from "./orphan.ts";
import type { RecordFile } from "./record.ts";
import { stopStrays } from "./stray.ts";

export interface Leftovers {
  /**
   * For each port a descriptor of the app's own listener, which whoever gets it closes: it goes on listening though the
   * app ends. null: the app has none there, or this user may not take it.
   */
  readonly listeners: readonly (number | null)[];
  /** The app has ended. */
  readonly ended: Promise<void>;
}

/** Stops what an agent of this directory that handed its sockets down has left running. Its ports are kept open. */
export function stopLeftovers(
  options: AppPlace & { readonly listen: readonly ListenSpec[]; readonly stopTimeoutMs: number },
  { record, clock, log }: { readonly record: RecordFile; readonly clock: Clock; readonly log: Log },
  c: Call,
): Leftovers {
  const { listen, stopTimeoutMs } = options;
  const known = record.read();
  const orphans = known === null ? spawnedOrphans(options) : recordedOrphans(known, options);
  const take = (spec: ListenSpec, orphan: Orphan) => takeListener(spec, orphan, known)?.fd ?? null;
  const listeners = listen.map((spec) =>
    orphans.reduce<number | null>((found, orphan) => found ?? take(spec, orphan), null),
  );
  for (const { pid } of orphans) {
    log.warn("Stopping the app left by an agent without --proxy: it holds the ports", {
      pid,
      hint: "connections wait for the new processes as soon as the proxy listens",
    });
  }
  // Also where it has died: it is none of the app that an agent without --proxy will run again.
  record.markStopping();
  const ends = Promise.all([
    stopStrays(options, known, clock, c),
    ...orphans.map((orphan) => stopProcess(orphan, stopTimeoutMs, clock, c)),
  ]);
  return { listeners, ended: ends.then(() => undefined) };
}
