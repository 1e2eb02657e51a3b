import { DewyError, systemCode } from "../errors.ts";
import { type HttpBody, readText } from "./body.ts";

/** fetch's own messages hold the whole URL, so only the code is taken from them. */
export function networkError(error: unknown, doing: string, host: string): DewyError {
  const code = systemCode(error) ?? (error instanceof Error ? error.name : "unknown");
  if (code === "Malformed_HTTP_Response") {
    return new DewyError("bad-answer", `${doing}: ${host} does not speak HTTP`);
  }
  if (/^(Zlib|Brotli|Zstd)/i.test(code)) {
    return new DewyError("bad-answer", `${doing}: what ${host} answered can't be unpacked (${code})`);
  }
  if (code === "EPROTO") {
    return new DewyError(
      "network-unreachable",
      `${doing}: ${host} speaks no TLS, or none that dewy knows (${code})`,
      {
        hint: "check the port, and whether the address begins with http:// or https://",
      },
    );
  }
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME|EPROTO|TLS|SSL/.test(code)) {
    return new DewyError("network-unreachable", `${doing}: no trusted TLS connection to ${host} (${code})`, {
      hint: "put the authority's certificate into a file and name it in SSL_CERT_FILE",
    });
  }
  return new DewyError("network-unreachable", `${doing}: no connection to ${host} (${code})`, {
    hint: proxyHint(),
  });
}

/** fetch does not say which of the two it could not reach. */
function proxyHint(): string | undefined {
  const set = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].filter((name) => process.env[name]);
  return set.length === 0
    ? undefined
    : `check the proxy too (${set.join(", ")}), or exempt the host in NO_PROXY`;
}

export function silentError(doing: string, host: string, quietMs: number): DewyError {
  return new DewyError("network-timeout", `${doing}: nothing from ${host} for ${quietMs / 1000}s`);
}

export function slowError(doing: string, limitMs: number): DewyError {
  return new DewyError("network-timeout", `${doing}: no whole answer within ${limitMs / 1000}s`);
}

/** Why a signal aborted: that somebody's time was up, not that anybody wanted an end. */
export function isDeadline(reason: unknown): boolean {
  if (reason instanceof DewyError) return reason.code === "network-timeout";
  return reason instanceof Error && reason.name === "TimeoutError";
}

/** The same failure, saying also how long the origin will be left alone. */
export function withWait(error: DewyError, waitMs: number): DewyError {
  const { code, message, hint, retryable } = error;
  const retryAfterMs = Math.max(waitMs, error.retryAfterMs ?? 0);
  return retryAfterMs === 0 ? error : new DewyError(code, message, { hint, retryable, retryAfterMs });
}

/** What a failed answer says about itself in JSON's `message`, without credentials and query strings. */
export async function explanation(response: Response, body: HttpBody, sent: Headers): Promise<string> {
  if (!/json/i.test(response.headers.get("content-type") ?? "")) {
    await body.discard();
    return "";
  }
  try {
    const json: unknown = JSON.parse(await readText(body, 64 * 1024, ""));
    const message = typeof json === "object" && json !== null && "message" in json ? json.message : "";
    return typeof message === "string" ? cleaned(message, sent) : "";
  } catch {
    return ""; // The status says enough.
  }
}

function cleaned(text: string, sent: Headers): string {
  let clean = text;
  for (const [name, value] of sent) {
    const secret = value.split(" ").at(-1) ?? "";
    if (/auth|token|key|cookie/i.test(name) && secret !== "") clean = clean.replaceAll(secret, "***");
  }
  return clean.replace(/\?\S*/g, "").slice(0, 200);
}
