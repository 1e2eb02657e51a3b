import { type Cursor, startCursor } from "./cursor.ts";
import type { CursorKeys } from "./cursor-keys.ts";
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
  load(readers: readonly CursorKeys[], found: readonly FoundCursor[], last: string, now: Date): void {
    const gone = new Set<string>();
    for (const { key, formerKeys } of readers) {
      const names = [key, ...formerKeys];
      const [known] = names.flatMap((name) => found.filter((each) => each.key === name));
      if (known !== undefined) this.#isNew = false;
      const cursor = known?.cursor ?? { ...startCursor, sent: last };
      this.set(key, { ...cursor, absentSince: null });
      for (const name of formerKeys) gone.add(name);
    }
    for (const { key, cursor } of found) {
      if (this.#cursors.has(key)) continue;
      if (gone.has(key)) this.files.removeCursor(key);
      else this.#leave(key, cursor, now);
    }
    this.expire(now);
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

  /** Who has been away for too long is no longer waited for. */
  expire(now: Date): void {
    for (const [key, { absentSince }] of this.#absent) {
      if (absentSince === null || now.getTime() - Date.parse(absentSince) <= absenceMs) continue;
      this.#absent.delete(key);
      this.files.removeCursor(key);
    }
  }

  /** What those who are away would want is not known. */
  isAwaited(notice: Addressed): boolean {
    if (this.isAwaitedHere(notice)) return true;
    for (const { sent } of this.#absent.values()) if (notice.id > sent) return true;
    return false;
  }

  /** By a notifier that is on the command line. */
  isAwaitedHere({ id, wantedBy }: Addressed): boolean {
    for (const [key, { sent }] of this.#cursors) if (id > sent && wantedBy.has(key)) return true;
    return false;
  }

  /** Those will never be told; how many they were, each notifier is. */
  miss(dropped: readonly Addressed[]): void {
    for (const [key, cursor] of this.#cursors) {
      const { sent, dropped: before } = cursor;
      const missed = dropped.filter(({ id, wantedBy }) => id > sent && wantedBy.has(key)).length;
      if (missed > 0) this.set(key, { ...cursor, dropped: before + missed });
    }
  }

  /** Its time away begins with the first start without it, however long it had nothing to take before. */
  #leave(key: string, cursor: Cursor, now: Date): void {
    const absentSince = cursor.absentSince ?? now.toISOString();
    const absent = { ...cursor, absentSince };
    this.#absent.set(key, absent);
    if (cursor.absentSince === null) this.files.writeCursor(key, absent);
  }
}
