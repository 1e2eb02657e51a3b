import type { Log } from "../log.ts";
import { stopProcess } from "../process/process.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import type { User } from "../util/user.ts";
import type { ListenSpec } from "./listen-spec.ts";
import { type Listener, openListener } from "./listener.ts";
import { listeningInodes } from "./listening.ts";
import {
  foreignOrphan,
  holdsPort,
  type Orphan,
  recordedOrphans,
  spawnedOrphans,
  takeListener,
} from "./orphan.ts";
import type { RecordedGeneration, RecordFile, SupervisorRecord } from "./record.ts";
import { stopStrays } from "./stray.ts";
import { diedUnwatched } from "./unwatched.ts";

/** What an agent begins with: the listeners, and the runs of the app that its predecessor left. */
export interface Inheritance {
  readonly listeners: readonly Listener[];
  /** Oldest first. */
  readonly orphans: readonly Orphan[];
  /** Runs whose end nobody has acted on. */
  readonly died: readonly RecordedGeneration[];
}

interface TakeoverOptions {
  readonly listen: readonly ListenSpec[];
  readonly root: string;
  readonly user: User | null;
  readonly stopTimeoutMs: number;
  /** From keeperOf(). */
  readonly keeper: string | null;
}

interface TakeoverDeps {
  readonly record: RecordFile;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Opens the listeners: taken back from an app that still runs, else bound anew. An app that holds one which may
 * not be taken back is stopped first. A port somebody else holds fails with `port-in-use`, with nothing left open.
 */
export async function takeOver(
  options: TakeoverOptions,
  record: SupervisorRecord | null,
  deps: TakeoverDeps,
  c: Call,
): Promise<Inheritance> {
  await stopStrays(options, record, deps.clock, c);
  let orphans = findOrphans(options, record);
  const died = diedUnwatched(record, orphans, options.keeper);
  const listeners: Listener[] = [];
  try {
    for (const spec of options.listen) {
      const free = firstTaken(spec, orphans, record) ?? (await openFree(spec, orphans, record));
      if (free === null) {
        await stopAll(orphans, options.stopTimeoutMs, deps, c);
        orphans = [];
      }
      listeners.push(free ?? (await openListener(spec)));
    }
  } catch (error) {
    for (const listener of listeners) listener.release();
    throw error;
  }
  return { listeners, orphans, died };
}

function findOrphans(options: TakeoverOptions, record: SupervisorRecord | null): Orphan[] {
  const recorded = record === null ? spawnedOrphans(options) : recordedOrphans(record, options);
  if (recorded.length > 0) return recorded;
  const foreign = foreignOrphan(options.listen, options);
  return foreign === null ? [] : [foreign];
}

function firstTaken(
  spec: ListenSpec,
  orphans: readonly Orphan[],
  record: SupervisorRecord | null,
): Listener | null {
  for (const orphan of orphans) {
    const listener = takeListener(spec, orphan, record);
    if (listener !== null) return listener;
  }
  return null;
}

/**
 * null: an orphan holds the port. Only the kernel knows which addresses of one port exclude each other, and a port
 * the app has closed is free.
 */
async function openFree(
  spec: ListenSpec,
  orphans: readonly Orphan[],
  record: SupervisorRecord | null,
): Promise<Listener | null> {
  try {
    return await openListener(spec);
  } catch (error) {
    if (isHeld(spec, orphans, record)) return null;
    throw error;
  }
}

/** Whether an orphan keeps the port from being bound: somebody else's is not freed by stopping the app. */
function isHeld(spec: ListenSpec, orphans: readonly Orphan[], record: SupervisorRecord | null): boolean {
  if (orphans.length === 0) return false;
  const inodes = listeningInodes(spec);
  // Who holds it can't be seen without rights to the app; that it was the predecessor's can.
  const recorded = record?.listeners.some(({ inode }) => inodes.includes(inode)) ?? false;
  return recorded || orphans.some((orphan) => holdsPort(spec, orphan));
}

async function stopAll(
  orphans: readonly Orphan[],
  timeoutMs: number,
  deps: TakeoverDeps,
  c: Call,
): Promise<void> {
  deps.record.markStopping();
  for (const orphan of orphans) {
    deps.log.warn("Stopping the app left by the last agent: its listener can't be taken back", {
      pid: orphan.pid,
      hint: "run dewy as root or as the app's user, with CAP_SYS_PTRACE, to keep the app running",
    });
  }
  await Promise.all(orphans.map((orphan) => stopProcess(orphan, timeoutMs, deps.clock, c)));
}
