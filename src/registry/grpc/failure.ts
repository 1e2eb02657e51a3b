import { DewyError, type ErrorCode } from "../../errors.ts";
import type { DialFailure } from "../../grpc/dial-failure.ts";

/** A call that came to nothing, as the classification looks at it. */
export interface CallFailure {
  /** https://grpc.io/docs/guides/status-codes/ */
  readonly status: number;
  /** The server's words, or the library's. */
  readonly details: string;
  /** The server itself sent the status; else the library made it up. */
  readonly answered: boolean;
  /** How long the server wants to be left alone; null: it did not say. */
  readonly waitMs: number | null;
  readonly dial: DialFailure | null;
}

/** Whom a call was for. */
export interface Peer {
  /** `host:port` */
  readonly host: string;
  readonly tls: boolean;
  /** `host:port` of the proxy in between. */
  readonly proxy: string | null;
}

interface Meaning {
  readonly name: string;
  readonly code: ErrorCode;
  readonly hint?: string;
  readonly retryable?: boolean;
}

const notLetIn =
  "dewy sends no credentials to a gRPC registry: let the server, or what is before it, admit this host";
const refusing = { code: "http-status", retryable: false } as const;

/** The statuses a server may answer, by number. */
const meanings: Readonly<Record<number, Meaning>> = {
  1: { name: "CANCELLED", code: "http-status" },
  2: { name: "UNKNOWN", code: "http-status" },
  3: { name: "INVALID_ARGUMENT", ...refusing },
  4: { name: "DEADLINE_EXCEEDED", code: "network-timeout" },
  5: { name: "NOT_FOUND", code: "not-found", retryable: false },
  6: { name: "ALREADY_EXISTS", ...refusing },
  7: { name: "PERMISSION_DENIED", code: "unauthorized", hint: notLetIn },
  8: { name: "RESOURCE_EXHAUSTED", code: "rate-limited" },
  9: { name: "FAILED_PRECONDITION", ...refusing },
  10: { name: "ABORTED", code: "http-status" },
  11: { name: "OUT_OF_RANGE", ...refusing },
  12: {
    name: "UNIMPLEMENTED",
    ...refusing,
    hint: "the server has no such call of dewy.RegistryService: check host and port, or update the server",
  },
  13: { name: "INTERNAL", code: "http-status" },
  14: { name: "UNAVAILABLE", code: "http-status" },
  15: { name: "DATA_LOSS", code: "http-status" },
  16: { name: "UNAUTHENTICATED", code: "unauthorized", hint: notLetIn },
};

/** Statuses that the library also makes up: for a broken connection, an answer against the protocol. */
const ambiguous = new Set([1, 2, 13, 14]);

/** The one place where a gRPC status becomes an error. */
export function callError(failure: CallFailure, doing: string, peer: Peer): DewyError {
  const { status, details, answered, waitMs, dial } = failure;
  if (dial !== null && !answered) return dialError(dial, doing, peer);
  if (!answered && /message larger than max/.test(details)) {
    return new DewyError("bad-answer", `${doing}: the answer of ${peer.host} is too large`);
  }
  const http = /HTTP status code (\d+)/.exec(details)?.[1];
  if (!answered && http === undefined && ambiguous.has(status)) return connectionError(details, doing, peer);
  const meaning = meanings[status] ?? { name: `the unknown status ${status}`, code: "http-status" };
  const said = http === undefined ? cleaned(details) : `HTTP status ${http}`;
  const text = `${doing}: ${peer.host} answered ${meaning.name}${said === "" ? "" : ` (${said})`}`;
  const { code, hint, retryable } = meaning;
  return new DewyError(code, text, {
    hint,
    ...(retryable === undefined ? {} : { retryable }),
    retryAfterMs: waitMs ?? undefined,
  });
}

/** Nobody answered in time. `connected`: up to the server's own protocol. */
export function silenceError(limitMs: number, connected: boolean, doing: string, peer: Peer): DewyError {
  const what = connected ? "no answer from" : "no connection to";
  return new DewyError("network-timeout", `${doing}: ${what} ${via(peer)} within ${limitMs / 1000}s`);
}

function dialError(failure: DialFailure, doing: string, peer: Peer): DewyError {
  if (failure.kind === "tls") return tlsError(failure.code, doing, peer);
  const { status } = failure;
  if (status === 407) {
    return new DewyError("unauthorized", `${doing}: the proxy ${peer.proxy} asks for credentials`, {
      hint: "put user and password into HTTPS_PROXY",
    });
  }
  const what = status === null ? "closed the connection" : `answered ${status}`;
  return new DewyError(
    "network-unreachable",
    `${doing}: the proxy ${peer.proxy}, asked for ${peer.host}, ${what}`,
    {
      hint: "let the proxy connect to it, or name the host in NO_PROXY",
    },
  );
}

function tlsError(code: string, doing: string, { host }: Peer): DewyError {
  const error = (why: string, hint: string) =>
    new DewyError("network-unreachable", `${doing}: ${why} (${code})`, { hint });
  if (code === "NO_H2") {
    return error(
      `${host} speaks TLS, but no HTTP/2`,
      "check the port; a proxy before the server must pass HTTP/2 on",
    );
  }
  if (/EXPIRED|NOT_YET_VALID/.test(code)) {
    const hint = "renew the certificate on the server, and check this host's clock";
    return error(`the certificate of ${host} is not valid today`, hint);
  }
  if (/ALTNAME/.test(code)) {
    return error(
      `the certificate of ${host} is for another name`,
      "connect by a name it holds, or give that as server-name=",
    );
  }
  if (/CERT|SIGNATURE|ISSUER|SELF_SIGNED|CHAIN|_CA$/.test(code)) {
    return error(
      `the certificate of ${host} is signed by nobody trusted here`,
      "give its authority's certificate as ca=/path/ca.pem or in SSL_CERT_FILE",
    );
  }
  return error(
    `no TLS connection to ${host}`,
    "if the server has no TLS, add no-tls=true to the registry URL",
  );
}

function connectionError(details: string, doing: string, peer: Peer): DewyError {
  const error = (why: string, hint?: string) =>
    new DewyError("network-unreachable", `${doing}: ${why}`, { hint });
  if (details.startsWith("Name resolution failed")) {
    const name = (peer.proxy ?? peer.host).replace(/:\d+$/, "");
    return error(`the name ${name} can't be resolved`, "check the name, and this host's DNS");
  }
  const code = /\bE[A-Z]{4,}\b/.exec(details)?.[0];
  if (code !== undefined) return error(`no connection to ${via(peer)} (${code})`);
  if (!details.startsWith("No connection established")) return error(`the connection to ${peer.host} broke`);
  return error(
    `${peer.host} does not speak gRPC`,
    peer.tls
      ? "check the port in the registry URL"
      : "check the port; if the server has TLS, leave out no-tls=true",
  );
}

function via({ host, proxy }: Peer): string {
  return proxy === null ? host : `${host} (by the proxy ${proxy})`;
}

/** On one line, short, without what may hold a secret: query strings and the user in a URL. */
function cleaned(text: string): string {
  return text
    .replace(/[\p{C}\p{Z}]+/gu, " ")
    .replace(/\/\/[^/\s]*@/g, "//")
    .replace(/\?\S*/g, "")
    .trim()
    .slice(0, 200);
}
