import type { Exit, ProcessTarget } from "../process/process.ts";

/** One run of the app. */
export interface Generation extends ProcessTarget {
  /** Counts up from 1 for as long as one agent or its successors own the listeners. */
  readonly number: number;
  /** The release directory's name; null when it was found running and can't be told. */
  readonly release: string | null;
  /** On the clock's monotonic scale. */
  readonly startedMs: number;
  readonly exited: Promise<Exit>;
}
