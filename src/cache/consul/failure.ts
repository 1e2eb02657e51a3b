import { DewyError } from "../../errors.ts";
import type { ConsulOptions } from "./url.ts";

interface Failure {
  readonly status: number;
  /** The body: plain text. */
  readonly said: string;
  /** What was sent, if a value was. */
  readonly sentBytes: number;
  readonly retryAfterMs: number;
}

/** What an answer other than 200 and 404 means; Consul tells by the status and by its words together. */
export function answerError(failure: Failure, doing: string, options: ConsulOptions): DewyError {
  const { status, said, retryAfterMs } = failure;
  const host = new URL(options.origin).host;
  const server = `${doing}: consul at ${host}`;
  // What is over the leader's own limit is a 503.
  if (status === 429 || /rate limit exceeded/i.test(said)) {
    const hint = "dewy waits; raise limits.request_limits of the Consul servers if it happens often";
    return new DewyError("rate-limited", `${server} takes no more requests for now (${status})`, {
      hint,
      retryAfterMs,
    });
  }
  if (status === 413) {
    return new DewyError("bad-answer", `${server} takes no value of ${failure.sentBytes} bytes (413)`, {
      hint: "set limits.kv_max_value_size of the Consul servers to at least 524288, as it is delivered",
    });
  }
  if (/No path to datacenter/i.test(said)) {
    return new DewyError("config-invalid", `${server} knows no datacenter ${options.datacenter}`, {
      hint: "correct dc= in the cache URL (consul catalog datacenters lists them), or leave it out",
    });
  }
  if (/No cluster leader/i.test(said)) {
    return new DewyError("http-status", `${server} has no cluster leader`, {
      hint: "its servers have no quorum: look at consul operator raft list-peers; dewy tries again by itself",
      retryable: true,
    });
  }
  if (/ACL not found/i.test(said)) return refused(`${server} does not know the token`, options);
  // Of a transaction it is a 409.
  const denied = status === 401 || status === 403 || /Permission denied/i.test(said);
  if (denied) return refused(`${server} does not allow that`, options);
  if (status === 400 && /HTTPS server/i.test(said)) {
    return new DewyError("config-invalid", `${server} speaks TLS`, { hint: "add tls=true to the cache URL" });
  }
  return new DewyError("http-status", `${server} answered ${status} ${shown(said, options)}`, {
    retryable: status >= 500,
  });
}

function refused(message: string, { prefix, token }: ConsulOptions): DewyError {
  const policy = `key_prefix "${prefix}/" { policy = "write" }`;
  const hint =
    token === null
      ? `set CONSUL_HTTP_TOKEN to a token with ${policy}`
      : `check token= or CONSUL_HTTP_TOKEN; the token needs ${policy}`;
  return new DewyError("unauthorized", message, { hint });
}

function shown(said: string, { token }: ConsulOptions): string {
  const line = said.trim().replace(/\s+/g, " ");
  return (token === null ? line : line.replaceAll(token, "***")).slice(0, 200);
}
