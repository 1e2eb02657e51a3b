import { type Cursor, startCursor } from "./cursor.ts";
import type { FoundCursor, OutboxFiles } from "./outbox-files.ts";

/** As much as is needed of a notice to know who waits for it. */
interface Addressed {
  readonly id: string;
  readonly wantedBy: ReadonlySet<string>;
}

/** A notifier that is missing from the command line may be back after a try without it; for longer nothing is kept. */
const absenceMs = 7 * 24 * 3_600_000;

/** How far every notifier is; each change is on disk when it is made. */
export class Cursors {
  readonly #cursors = new Map<string, Cursor>();
  /** Of notifiers that are not on the command line now. */
  readonly #absent = new Map<string, Cursor>();
  #isNew = true;

  constructor(private readonly files: Pick<OutboxFiles, "writeCursor" | "removeCursor">) {}

  /** With what was found on disk; a notifier that is new begins behind `last`. */
  load(keys: readonly string[], found: readonly FoundCursor[], last: string, now: Date): void {
    for (const key of keys) {
      const known = found.find((each) => each.key === key);
      if (known !== undefined) this.#isNew = false;
      // Written anew, too: a cursor's age shows how long its notifier has been away.
      this.set(key, known?.cursor ?? { ...startCursor, sent: last });
    }
    for (const { key, cursor, changedAt } of found) {
      if (this.#cursors.has(key)) continue;
      if (now.getTime() - changedAt.getTime() > absenceMs) this.files.removeCursor(key);
      else this.#absent.set(key, cursor);
    }
  }

  /** None of the notifiers was there before. */
  get isNew(): boolean {
    return this.#isNew;
  }

  of(key: string): Cursor {
    return this.#cursors.get(key) ?? startCursor;
  }

  set(key: string, cursor: Cursor): void {
    this.#cursors.set(key, cursor);
    this.files.writeCursor(key, cursor);
  }

  /** What those who are away would want is not known. */
  isAwaited({ id, wantedBy }: Addressed): boolean {
    for (const [key, { sent }] of this.#cursors) if (id > sent && wantedBy.has(key)) return true;
    for (const { sent } of this.#absent.values()) if (id > sent) return true;
    return false;
  }

  /** Those will never be told; how many they were, each notifier is. */
  miss(dropped: readonly Addressed[]): void {
    for (const [key, { sent, dropped: before }] of this.#cursors) {
      const missed = dropped.filter(({ id, wantedBy }) => id > sent && wantedBy.has(key)).length;
      if (missed > 0) this.set(key, { sent, dropped: before + missed });
    }
  }
}
