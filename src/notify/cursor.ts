import * as v from "valibot";
import { isNoticeId, noId } from "./notice-id.ts";

/** What one notifier has had. */
export interface Cursor {
  /** The last notice it took, or that was given up; all up to it are done with. */
  readonly sent: string;
  /** Dropped before it could take them, and not told yet. */
  readonly dropped: number;
}

/** Nothing yet. */
export const startCursor: Cursor = { sent: noId, dropped: 0 };

const schema = v.object({
  version: v.literal(1),
  sent: v.pipe(
    v.string(),
    v.check((id) => id === noId || isNoticeId(id)),
  ),
  dropped: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/** Names a notifier in files: a URL may hold secrets, its hash tells none. */
export function cursorKey(url: string): string {
  return new Bun.CryptoHasher("sha256").update(`dewy notifier\0${url}`).digest("hex").slice(0, 16);
}

export function encodeCursor({ sent, dropped }: Cursor): string {
  return `${JSON.stringify({ version: 1, sent, dropped })}\n`;
}

/** Throws on anything else. */
export function decodeCursor(content: string): Cursor {
  const { sent, dropped } = v.parse(schema, JSON.parse(content));
  return { sent, dropped };
}
