import { DewyError } from "../../errors.ts";
import { isIPv6 } from "../../util/ip.ts";
import { flag, readQuery, text } from "../../util/query.ts";
import type { HostSelection } from "../selection.ts";

/** What a `grpc://` URL says. */
export interface GrpcOptions {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** null: no TLS. */
  readonly tls: TlsOptions | null;
  /** The artifact's exact name; null: the server chooses. */
  readonly artifact: string | null;
}

export interface TlsOptions {
  /** A PEM file with an authority's certificate, trusted beside the system's. */
  readonly caFile: string | null;
  /** The name the server's certificate must hold where it is not the URL's host. */
  readonly serverName: string | null;
}

/** As gRPC's other clients have it for names without a port. */
const tlsPort = 443;

/**
 * `grpc://host:port?no-tls=true&ca=/path/ca.pem&server-name=NAME&artifact=NAME`; without a port 443, but a server
 * without TLS has no usual port, so there it must be named. What chooses among releases is refused: the server
 * does that. Anything else is `config-invalid`.
 */
export function parseGrpcUrl(url: URL, host: HostSelection): GrpcOptions {
  refuseSelection(url, host);
  const name = hostOf(url);
  const query = readQuery(url, { "no-tls": flag, ca: text, "server-name": text, artifact: text });
  const { ca, artifact } = query;
  const serverName = query["server-name"];
  const plain = query["no-tls"] ?? false;
  if (plain && (ca !== null || serverName !== null)) {
    throw invalid("no-tls= excludes ca= and server-name=", "they say which server's TLS to trust");
  }
  if (url.port === "" && plain) {
    throw invalid("a gRPC registry without TLS has no usual port", "write grpc://host:port?no-tls=true");
  }
  const port = url.port === "" ? tlsPort : Number(url.port);
  if (port === 0) throw invalid("0 is no port of a server", "write grpc://host:port");
  return { host: name, port, tls: plain ? null : { caFile: ca, serverName }, artifact };
}

/** `host:port`, IPv6 in brackets. */
export function authorityOf({ host, port }: Pick<GrpcOptions, "host" | "port">): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function refuseSelection(url: URL, { slot, calver }: HostSelection): void {
  const given = [
    ...["pre-release", "constraint", "calver"]
      .filter((name) => url.searchParams.has(name))
      .map((name) => `${name}=`),
    ...(slot === null ? [] : ["--slot"]),
    ...(calver === null ? [] : ["--calver"]),
  ];
  if (given.length === 0) return;
  throw invalid(
    `${given.join(", ")}: a gRPC registry chooses the release itself`,
    "leave it out, and let the server choose for each host; artifact= names a file",
  );
}

function hostOf(url: URL): string {
  const bare = url.username === "" && url.password === "" && url.hash === "";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const named = /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$/.test(host) || isIPv6(host);
  if (url.protocol === "grpc:" && bare && named && /^\/?$/.test(url.pathname)) return host;
  throw invalid(
    "the registry URL does not name a gRPC server",
    "write grpc://host:port, or grpc://host:port?no-tls=true for one without TLS",
  );
}

function invalid(message: string, hint: string): DewyError {
  return new DewyError("config-invalid", message, { hint });
}
