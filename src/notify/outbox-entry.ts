import type { CursorKeys } from "./cursor-keys.ts";
import type { Filter } from "./filter.ts";
import type { Notice } from "./notice.ts";
import { encodeNotice } from "./notice-file.ts";
import { isInformational } from "./outbox-bound.ts";
import type { FoundNotice } from "./outbox-files.ts";

/** One that is sent notices. */
export interface OutboxReader extends CursorKeys {
  readonly wants: Filter;
}

/** A notice in the outbox, without its words: those are on disk. */
export interface Entry {
  readonly id: string;
  readonly sizeBytes: number;
  readonly isInformational: boolean;
  readonly deploy: string | null;
  /** Keys of readers. */
  readonly wantedBy: ReadonlySet<string>;
  /** Only in memory: the disk did not take it. */
  unwritten: Notice | null;
  /** On disk, but what it says could not be read at the start. */
  readonly unread: boolean;
}

export function entryOf(notice: Notice, deploy: string | null, readers: readonly OutboxReader[]): Entry {
  const { id, event } = notice;
  return {
    id,
    sizeBytes: Buffer.byteLength(encodeNotice({ notice, deploy })),
    isInformational: isInformational(event),
    deploy,
    wantedBy: new Set(readers.filter(({ wants }) => wants(event)).map(({ key }) => key)),
    unwritten: null,
    unread: false,
  };
}

/** What an earlier agent left. What can't be read yet is for everybody, and dropped last, until it is known what it is. */
export function foundEntry({ id, stored }: FoundNotice, readers: readonly OutboxReader[]): Entry {
  if (stored !== null) return entryOf(stored.notice, stored.deploy, readers);
  return {
    id,
    sizeBytes: 0,
    isInformational: false,
    deploy: null,
    wantedBy: new Set(readers.map(({ key }) => key)),
    unwritten: null,
    unread: true,
  };
}
