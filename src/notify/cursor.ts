import * as v from "valibot";
import { isNoticeId, noId } from "./notice-id.ts";

/** What one notifier has had. */
export interface Cursor {
  /** The last notice it took, or that was given up; all up to it are done with. */
  readonly sent: string;
  /** Dropped before it could take them, and not told yet. */
  readonly dropped: number;
  /** How often it was told of dropped ones: each time is a notice of its own. */
  readonly droppedTold: number;
  /** ISO 8601: when it was first missing from the command line; null: it is on it. */
  readonly absentSince: string | null;
}

/** Nothing yet. */
export const startCursor: Cursor = { sent: noId, dropped: 0, droppedTold: 0, absentSince: null };

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const schema = v.object({
  version: v.literal(1),
  sent: v.pipe(
    v.string(),
    v.check((id) => id === noId || isNoticeId(id)),
  ),
  dropped: count,
  // Not in the files of earlier agents.
  droppedTold: v.optional(count, 0),
  absentSince: v.optional(v.nullable(v.pipe(v.string(), v.isoTimestamp())), null),
});

/** Names a notifier in files: a URL may hold secrets, its hash tells none. */
export function cursorKey(text: string): string {
  return new Bun.CryptoHasher("sha256").update(`dewy notifier\0${text}`).digest("hex").slice(0, 16);
}

export function encodeCursor(cursor: Cursor): string {
  return `${JSON.stringify({ version: 1, ...cursor })}\n`;
}

/** Throws on anything else. */
export function decodeCursor(content: string): Cursor {
  const { version: _, ...cursor } = v.parse(schema, JSON.parse(content));
  return cursor;
}
