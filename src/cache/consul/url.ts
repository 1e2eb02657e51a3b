import { DewyError } from "../../errors.ts";
import { flag, type QueryValues, text } from "../../util/query.ts";
import { size } from "../../util/sizes.ts";

export const consulParams = { token: text, dc: text, tls: flag, "max-artifact": size };

export interface ConsulOptions {
  /** `http://host:port` */
  readonly origin: string;
  /** All keys begin with it and a slash. */
  readonly prefix: string;
  /** Never to be shown, nor sent in a URL. */
  readonly token: string | null;
  /** null: the agent's own. */
  readonly datacenter: string | null;
  /** Larger ones stay on their hosts: Consul is no blob store. */
  readonly maxArtifactBytes: number;
}

const defaultMaxArtifactBytes = 16 * 1024 * 1024;

/**
 * `consul://host[:port][/prefix]?token=&dc=&tls=true&max-artifact=16MiB`. Where the URL has no token,
 * CONSUL_HTTP_TOKEN is it. Throws `config-invalid`, without the token.
 */
export function readConsulUrl(
  url: URL,
  query: QueryValues<typeof consulParams>,
  env: Readonly<Record<string, string | undefined>>,
): ConsulOptions {
  const tls = query.tls === true;
  if (url.hostname === "" || url.username !== "" || url.password !== "" || url.hash !== "") {
    throw invalid(
      "the cache URL does not name a Consul agent",
      "write consul://127.0.0.1:8500/prefix; a token goes into token= or CONSUL_HTTP_TOKEN",
    );
  }
  const port = url.port === "" ? (tls ? "8501" : "8500") : url.port;
  return {
    origin: `${tls ? "https" : "http"}://${url.hostname}:${port}`,
    prefix: prefixOf(url.pathname),
    token: tokenOf(query.token ?? (env["CONSUL_HTTP_TOKEN"] || null)),
    datacenter: query.dc,
    maxArtifactBytes: query["max-artifact"] ?? defaultMaxArtifactBytes,
  };
}

/** What needs no escapes in a URL's path. */
function prefixOf(pathname: string): string {
  const prefix = pathname.replace(/^\/|\/$/g, "") || "dewy";
  const parts = prefix.split("/");
  const plain = parts.every((part) => /^[\w.~-]+$/.test(part) && !/^\.+$/.test(part));
  if (plain && prefix.length <= 200) return prefix;
  throw invalid(
    `the cache URL's ${pathname} is not a prefix of keys`,
    "write up to 200 letters, digits, . _ ~ - and / between them: consul://host:8500/apps/dewy",
  );
}

/** It becomes a header. */
function tokenOf(token: string | null): string | null {
  if (token === null || /^[\x21-\x7e]+$/.test(token)) return token;
  throw invalid("the Consul token has characters that no token has", "check token= or CONSUL_HTTP_TOKEN");
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
