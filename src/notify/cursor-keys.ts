import { cursorKey } from "./cursor.ts";

interface Named {
  readonly url: string;
  /** Where it sends to; see Notifier. */
  readonly identity: string;
}

/** The name of a notifier's cursor, and those that earlier agents may have known it by. */
export interface CursorKeys {
  readonly key: string;
  readonly formerKeys: readonly string[];
}

/**
 * By where each sends to: who changes a title or a filter wants to be told what waits all the same. Several that send to
 * one place are told apart by their URLs.
 */
export function cursorKeys({ url, identity }: Named, all: readonly Named[]): CursorKeys {
  const isAlone = all.filter((other) => other.identity === identity).length <= 1;
  const [byPlace, byUrl] = [cursorKey(identity), cursorKey(url)];
  return isAlone ? { key: byPlace, formerKeys: [byUrl] } : { key: byUrl, formerKeys: [byPlace] };
}
