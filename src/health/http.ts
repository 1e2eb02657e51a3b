import { addressText } from "../util/address.ts";
import type { Call } from "../util/async.ts";
import { converse, type Endpoint, type Talk, urlOf } from "./dial.ts";
import type { Probed } from "./policy.ts";

const maxHeadBytes = 16 * 1024;

export interface HttpAsk {
  readonly path: string;
  /** What a connection begins with before anything is said. */
  readonly greeting: string;
  /** Whether to ask over the connection that was made; without it any is good. */
  readonly admit?: NonNullable<Talk<Probed>["admit"]>;
}

/**
 * GET over a connection of its own: 2xx and 3xx pass, redirects are not followed, the body is not read. By hand, as
 * Bun's fetch sends even loopback traffic through `HTTP_PROXY`, and keeps connections that a drain would wait for.
 */
export async function checkHttp(
  endpoint: Endpoint,
  { path, greeting, admit }: HttpAsk,
  limitMs: number,
  c: Call,
): Promise<Probed> {
  const asked = `GET ${urlOf(endpoint, path)}`;
  let head = "";
  const failed = (seen: string): Probed => ({ ok: false, seen: `${asked}: ${seen}` });
  return await converse(
    endpoint,
    {
      opening: `${greeting}${requestOf(endpoint, path)}`,
      ...(admit === undefined ? {} : { admit }),
      onUnused: () => failed("not asked"),
      connectMs: limitMs,
      listenMs: limitMs,
      onRefused: (reason) => failed(reason),
      onHindered: (reason) => ({ ...failed(reason), unasked: true }),
      onData(bytes) {
        head += new TextDecoder("latin1").decode(bytes);
        const status = statusOf(head);
        if (status !== null)
          return { ok: status >= 200 && status < 400, seen: `${asked}: ${status}`, status };
        return head.length > maxHeadBytes || !couldBeHttp(head)
          ? failed("what answers is no HTTP")
          : undefined;
      },
      onClosed: () => failed(head === "" ? "accepts but does not answer" : "closed within its answer"),
      onLimit: () => failed(`no answer within ${limitMs} ms`),
    },
    c,
  );
}

function requestOf(endpoint: Endpoint, path: string): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${"unix" in endpoint ? "localhost" : addressText(endpoint)}`,
    "User-Agent: dewy",
    "Accept: */*",
  ];
  return `${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`;
}

/** Of the first answer that is final (not 1xx); null: it has not come yet. */
export function statusOf(head: string): number | null {
  let rest = head;
  for (;;) {
    const match = /^HTTP\/1\.[01] (\d{3})[^\n]*\n/.exec(rest);
    if (match === null) return null;
    const status = Number(match[1]);
    if (status >= 200) return status;
    const end = /\r?\n\r?\n/.exec(rest);
    if (end === null) return null;
    rest = rest.slice(end.index + end[0].length);
  }
}

function couldBeHttp(head: string): boolean {
  const start = "HTTP/1.";
  return head.startsWith(start) || start.startsWith(head);
}
