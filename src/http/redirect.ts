import { DewyError } from "../errors.ts";

/** One request of a chain of redirects. */
export interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string | Uint8Array | undefined;
}

const redirectStatuses = new Set([301, 302, 303, 307, 308]);
const keepsMethod = new Set([307, 308]);

/** All that may cross to another origin. Anything else could be a credential (`Private-Token`, `X-Api-Key`). */
const safeAcrossOrigins = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "if-range",
  "range",
  "user-agent",
]);

export function isRedirect(status: number): boolean {
  return redirectStatuses.has(status);
}

/** The request that follows a redirect; throws `bad-answer` for one that must not be followed. */
export function nextHop(hop: Hop, status: number, location: string | null, doing: string): Hop {
  const url = targetOf(hop, location, doing);
  const readsOnly = hop.method === "GET" || hop.method === "HEAD";
  if (url.origin === hop.url.origin && (readsOnly || keepsMethod.has(status))) return { ...hop, url };
  if (!readsOnly) {
    throw refused(
      hop,
      doing,
      `redirects a ${hop.method}, which is only followed (307, 308) within one origin`,
    );
  }
  const headers = new Headers([...hop.headers].filter(([name]) => safeAcrossOrigins.has(name.toLowerCase())));
  return { url, method: hop.method, headers, body: undefined };
}

function targetOf(hop: Hop, location: string | null, doing: string): URL {
  const url = location === null ? null : URL.parse(location, hop.url.href);
  if (url === null) throw refused(hop, doing, "redirects to nowhere");
  // fetch would also open file:, data: and blob: URLs.
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw refused(hop, doing, `redirects to a ${url.protocol} URL`);
  }
  if (hop.url.protocol === "https:" && url.protocol === "http:") {
    throw refused(hop, doing, "redirects from https to http");
  }
  // fetch would turn them into an Authorization header.
  url.username = "";
  url.password = "";
  return url;
}

function refused(hop: Hop, doing: string, why: string): DewyError {
  return new DewyError("bad-answer", `${doing}: ${hop.url.host} ${why}`);
}
