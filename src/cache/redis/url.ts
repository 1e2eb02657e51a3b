import { DewyError } from "../../errors.ts";
import { duration, type QueryValues, text } from "../../util/query.ts";

export const redisParams = { prefix: text, ttl: duration };

export interface RedisOptions {
  readonly tls: boolean;
  readonly hostname: string;
  readonly port: number;
  /** null: the user `default`. */
  readonly username: string | null;
  /** Never to be shown. */
  readonly password: string | null;
  readonly database: number;
  /** All keys begin with it and a colon. */
  readonly prefix: string;
  /** Milliseconds after its last writing when an entry goes by itself; null: never. */
  readonly ttlMs: number | null;
}

const example = "write redis://[user:password@]host[:6379][/database], or rediss:// for TLS";

/**
 * `redis://[user[:password]@]host[:port][/database]?prefix=dewy&ttl=720h`; `rediss` is TLS. Where the URL has no
 * password, REDIS_PASSWORD is it. Throws `config-invalid`, without the password.
 */
export function readRedisUrl(
  url: URL,
  query: QueryValues<typeof redisParams>,
  env: Readonly<Record<string, string | undefined>>,
): RedisOptions {
  if (url.hostname === "" || url.hash !== "") throw invalid("the cache URL names no Redis server", example);
  const username = decoded(url.username);
  const password = decoded(url.password) ?? (env["REDIS_PASSWORD"] || null);
  if (username !== null && password === null) {
    throw invalid("the cache URL has a user without a password", "add the password, or set REDIS_PASSWORD");
  }
  return {
    tls: url.protocol === "rediss:",
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 6379 : Number(url.port),
    username,
    password,
    database: databaseOf(url.pathname),
    prefix: prefixOf(query.prefix ?? "dewy"),
    ttlMs: ttlOf(query.ttl),
  };
}

/** `host:port` as it stands in URLs. */
export function hostOf({ hostname, port }: Pick<RedisOptions, "hostname" | "port">): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

function decoded(part: string): string | null {
  if (part === "") return null;
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid(
      "the cache URL's user or password is not percent-encoded UTF-8",
      "write % as %25, @ as %40 and / as %2F, or set REDIS_PASSWORD",
    );
  }
}

function databaseOf(pathname: string): number {
  const number = /^(?:\/(\d{0,5}))?$/.exec(pathname);
  if (number === null) {
    throw invalid(
      `the cache URL's database ${pathname} is not a number`,
      `${example}; names go into prefix=`,
    );
  }
  return Number(number[1] ?? 0);
}

/** Without what means something to SCAN's patterns. */
function prefixOf(prefix: string): string {
  if (/^[\w.:/@+=~-]{1,200}$/.test(prefix)) return prefix;
  throw invalid("prefix= is not a prefix of keys", "write up to 200 letters, digits and . _ : / @ + = ~ -");
}

function ttlOf(ttlMs: number | null): number | null {
  if (ttlMs === null || ttlMs >= 60_000) return ttlMs;
  throw invalid(
    "ttl= is less than a minute",
    "write how long an entry may stay, such as 720h; leave it out to keep all",
  );
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
