import { DewyError } from "../../errors.ts";
import { ipv6Bytes, isIPv4, isIPv6 } from "../../util/ip.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface Proxy {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** The value of Proxy-Authorization; null: none. */
  readonly authorization: string | null;
}

interface Target {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * The proxy for a target by `HTTPS_PROXY` and `NO_PROXY` (or lower-case), null for none. As Go's gRPC has it:
 * `HTTPS_PROXY` also for servers without TLS, and never for this machine itself. Another kind of proxy than `http://`
 * is `config-invalid`.
 */
export function proxyFor(target: Target, env: Environment): Proxy | null {
  const given = env["HTTPS_PROXY"] || env["https_proxy"];
  if (!given || isLoopback(target.host)) return null;
  const exempt = (env["NO_PROXY"] || env["no_proxy"] || "").split(",").map((entry) => entry.trim());
  if (exempt.some((entry) => entry !== "" && names(entry.toLowerCase(), target))) return null;
  return parseProxy(given);
}

function parseProxy(given: string): Proxy {
  const url = URL.parse(given.includes("://") ? given : `http://${given}`);
  const login = url === null ? null : loginOf(url);
  if (url === null || login === null || url.protocol !== "http:" || url.hostname === "") {
    const what = url === null || login === null ? "is no URL" : `names a ${url.protocol}// proxy`;
    throw new DewyError("config-invalid", `HTTPS_PROXY ${what}`, {
      hint: "a gRPC registry is reached through an http:// proxy; or name its host in NO_PROXY",
    });
  }
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 80 : Number(url.port),
    authorization: login === ":" ? null : `Basic ${Buffer.from(login).toString("base64")}`,
  };
}

/** `user:password`; null when it is badly escaped. */
function loginOf({ username, password }: URL): string | null {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    return null;
  }
}

/** `*`, `name`, `.name`, `*.name`, an address, a network (`10.0.0.0/8`), each but networks possibly with a port. */
function names(entry: string, { host, port }: Target): boolean {
  if (entry === "*") return true;
  const name = host.toLowerCase().replace(/\.$/, "");
  if (entry.includes("/")) return inNetwork(name, entry);
  const [, bare = entry, only] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry) ?? [];
  if (only !== undefined && Number(only) !== port) return false;
  const wanted = bare.replace(/^\[(.*)\]$/, "$1");
  if (isIPv6(wanted) && isIPv6(name)) return sameBytes(ipv6Bytes(wanted), ipv6Bytes(name), 128);
  const domain = wanted.replace(/^\*?\./, "");
  return name.endsWith(`.${domain}`) || (domain === wanted && name === domain);
}

function inNetwork(name: string, entry: string): boolean {
  const [network = "", length = ""] = entry.split("/");
  const own = bytesOf(name);
  const theirs = bytesOf(network);
  const bits = Number(length);
  if (own === null || theirs === null || own.length !== theirs.length || !/^\d+$/.test(length)) return false;
  return bits <= own.length * 8 && sameBytes(own, theirs, bits);
}

function bytesOf(address: string): readonly number[] | null {
  if (isIPv4(address)) return address.split(".").map(Number);
  return isIPv6(address) ? ipv6Bytes(address) : null;
}

function sameBytes(a: readonly number[], b: readonly number[], bits: number): boolean {
  return a.every((byte, index) => {
    const drop = 8 - Math.min(8, Math.max(0, bits - index * 8));
    return byte >> drop === (b[index] ?? 0) >> drop;
  });
}

function isLoopback(host: string): boolean {
  return (
    host.toLowerCase() === "localhost" ||
    (isIPv4(host) && host.startsWith("127.")) ||
    inNetwork(host, "::1/128")
  );
}
